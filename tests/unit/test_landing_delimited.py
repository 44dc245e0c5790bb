"""Physical records of delimited files: found apart from the parser, whatever a file holds."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.errors import UserError
from warehouse.sources import delimited
from warehouse.sources.delimited import (
    CsvFormat,
    DelimitedRows,
    check_content,
    likely_delimiter,
    parse,
    read_header,
    scan,
)

SEMICOLON = CsvFormat(delimiter=";", header=False)


def records_of(path: Path, format_: CsvFormat, fields: int) -> list[tuple[int, int, str, str | None]]:
    """Number, line, raw text and fault of every record."""
    found = []
    for block in scan(path, format_, fields):
        numbers = list(range(block.first_record, block.first_record + len(block)))
        for number, (line, raw) in zip(numbers, block.originals(numbers), strict=True):
            found.append((number, line, raw, block.faults.get(number)))
    return found


def rows_of(path: Path, format_: CsvFormat, names: list[str]) -> list[dict[str, object]]:
    return [row for block in scan(path, format_, len(names)) for row in parse(block, names, format_).to_pylist()]


def write(tmp_path: Path, content: bytes, name: str = "file.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def faults_of(path: Path, format_: CsvFormat, fields: int) -> dict[int, str]:
    return {number: fault for number, _, _, fault in records_of(path, format_, fields) if fault is not None}


# Texts of the letters that decide where records end, more likely than chance to be nearly right.
PIECES = st.sampled_from(
    ['"', '""', ";", "\n", "\r\n", "\r", "a", "é", "张", "\0", '"a"', '"x\ny"', "a;b;c\n", '"a";b;c\r\n', ' ;"', '";"']
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, chunk=st.integers(1, 12))
def test_records_do_not_depend_on_how_a_file_is_cut_into_chunks_nor_on_the_fast_way(
    text: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, text.encode())
    whole = records_of(path, SEMICOLON, 3)
    with monkeypatch.context() as patched:
        patched.setattr(delimited, "CHUNK", chunk)
        assert records_of(path, SEMICOLON, 3) == whole
    with monkeypatch.context() as patched:
        patched.setattr(delimited._RecordParser, "_clean_records", lambda *_: None)
        assert records_of(path, SEMICOLON, 3) == whole


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_every_byte_is_in_one_record_or_a_blank_line_and_the_parser_finds_as_many(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text.encode())
    covered = b""
    for block in scan(path, SEMICOLON, 3):
        table = parse(block, ["a", "b", "c"], SEMICOLON)  # refuses if the two counts differ
        assert table.num_rows == len(block) - len(block.faults)
        covered += b"".join(
            block.text[start:end] for start, end in zip(block.starts.tolist(), block.ends.tolist(), strict=True)
        )
    if "\0" not in text:
        assert covered.replace(b"\r", b"").replace(b"\n", b"") == text.encode().replace(b"\r", b"").replace(b"\n", b"")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=2, max_size=2),
        min_size=1,
        max_size=20,
    ),
    encoding=st.sampled_from(["utf-8", "gb18030", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_correct_writer_wrote_is_read_back_field_for_field(
    rows: list[list[str]], encoding: str, line_end: str, tmp_path: Path
) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator=line_end).writerows(rows)
    path = write(tmp_path, buffer.getvalue().encode(encoding))
    format_ = CsvFormat(delimiter=";", header=False, encoding=encoding)
    # A byte order mark at the very beginning is not part of the first field.
    assert [[row["a"], row["b"]] for row in rows_of(path, format_, ["a", "b"])] == rows


def test_a_stray_quote_costs_one_record_and_not_the_rest_of_the_file(tmp_path: Path) -> None:
    lines = [f'{number};"text";x' for number in range(1, 1001)]
    lines[499] = '500;"text;x'
    path = write(tmp_path, "\n".join(lines).encode())
    assert faults_of(path, SEMICOLON, 3).keys() == {500}
    rows = rows_of(path, SEMICOLON, ["a", "b", "c"])
    assert [row["_source_row"] for row in rows] == [n for n in range(1, 1001) if n != 500]


def test_a_quote_never_closed_at_the_end_costs_its_own_line_only(tmp_path: Path) -> None:
    path = write(tmp_path, b'1;"a";b\n2;"open;c\n3;d;e\n4;f;g\n')
    assert faults_of(path, SEMICOLON, 3).keys() == {2}
    assert [row["a"] for row in rows_of(path, SEMICOLON, ["a", "b", "c"])] == ["1", "3", "4"]


def test_line_ends_inside_quotes_belong_to_the_field_and_count_as_lines(tmp_path: Path) -> None:
    path = write(tmp_path, b'1;"two\r\nlines";b\r\n2;c;d\r\n3;too;many;fields\r\n')
    assert [(number, line) for number, line, _, _ in records_of(path, SEMICOLON, 3)] == [(1, 1), (2, 3), (3, 4)]
    assert rows_of(path, SEMICOLON, ["a", "b", "c"])[0]["b"] == "two\r\nlines"
    assert faults_of(path, SEMICOLON, 3) == {3: "4 fields instead of 3"}


def test_an_inch_sign_inside_a_plain_field_is_a_letter_like_others(tmp_path: Path) -> None:
    path = write(tmp_path, b'1;5" pipe;a\n2;6" pipe;b\n3;x;y\n')
    assert faults_of(path, SEMICOLON, 3) == {}
    assert [row["b"] for row in rows_of(path, SEMICOLON, ["a", "b", "c"])] == ['5" pipe', '6" pipe', "x"]


def test_text_behind_a_closing_quote_is_a_fault(tmp_path: Path) -> None:
    assert faults_of(write(tmp_path, b'"a"b;c;d\n1;2;3\n'), SEMICOLON, 3) == {
        1: "text behind the closing quote of a field"
    }


def test_the_last_record_counts_without_a_line_end_and_blank_lines_do_not(tmp_path: Path) -> None:
    path = write(tmp_path, b"\n1;a;b\n\r\n\n2;c;d")
    assert [(number, line) for number, line, _, _ in records_of(path, SEMICOLON, 3)] == [(1, 2), (2, 5)]


def test_a_truncated_last_record_is_a_fault(tmp_path: Path) -> None:
    assert faults_of(write(tmp_path, b"1;a;b\n2;c"), SEMICOLON, 3) == {2: "2 fields instead of 3"}


def test_backslash_escapes_are_understood_where_the_mapping_names_them(tmp_path: Path) -> None:
    format_ = CsvFormat(delimiter=";", escape="\\", header=False)
    path = write(tmp_path, b'1;"say \\"hi\\"; bye";c\n2;a\\;b;d\n')
    assert [row["b"] for row in rows_of(path, format_, ["a", "b", "c"])] == ['say "hi"; bye', "a;b"]


def test_bytes_that_are_not_of_the_encoding_are_a_fault_and_are_shown_in_hexadecimal(tmp_path: Path) -> None:
    path = write(tmp_path, "1;ok;a\n2;张三;b\n3;ok;c\n".encode("gb18030"))
    assert faults_of(path, SEMICOLON, 3) == {2: "bytes that are not utf-8"}
    assert records_of(path, SEMICOLON, 3)[1][2] == "2;\\xd5\\xc5\\xc8\\xfd;b"
    gbk = CsvFormat(delimiter=";", encoding="gbk", header=False)
    assert [row["b"] for row in rows_of(path, gbk, ["a", "b", "c"])] == ["ok", "张三", "ok"]


def test_a_delimiter_that_is_half_of_a_gbk_letter_is_not_taken_for_one(tmp_path: Path) -> None:
    text = "1|閨|a\n2|x|y\n"
    assert b"|" in "閨".encode("gbk"), "a letter whose second byte is the delimiter"
    path = write(tmp_path, text.encode("gbk"))
    format_ = CsvFormat(delimiter="|", encoding="gbk", header=False)
    assert [row["b"] for row in rows_of(path, format_, ["a", "b", "c"])] == ["閨", "x"]


def test_a_cell_of_10_mb_is_one_faulty_record_and_is_never_held_whole(tmp_path: Path) -> None:
    path = write(tmp_path, b"1;a;b\n2;" + b"x" * 10_000_000 + b";c\n3;d;e\n")
    assert faults_of(path, SEMICOLON, 3) == {2: "a line longer than 1,048,576 bytes"}
    assert len(records_of(path, SEMICOLON, 3)[1][2]) < 2_000
    assert [row["a"] for row in rows_of(path, SEMICOLON, ["a", "b", "c"])] == ["1", "3"]


def test_a_long_last_line_without_a_line_end_is_one_faulty_record(tmp_path: Path) -> None:
    path = write(tmp_path, b"1;a;b\n2;" + b"x" * 3_000_000)
    assert faults_of(path, SEMICOLON, 3) == {2: "a line longer than 1,048,576 bytes"}


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf"a";b\n1;2\n')
    assert read_header(path, CsvFormat(delimiter=";")) == ["a", "b"]
    assert rows_of(path, CsvFormat(delimiter=";"), ["a", "b"]) == [{"a": "1", "b": "2", "_source_row": 1}]


def test_a_gz_file_is_read_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"a;b\n" + b"1;2\n" * 50_000)
    path = write(tmp_path, packed, "file.csv.gz")
    rows = DelimitedRows(path, CsvFormat(delimiter=";"), [])
    assert sum(batch.records for batch in rows.batches()) == 50_000
    cut = write(tmp_path, packed[: len(packed) // 2], "cut.csv.gz")
    with pytest.raises(UserError, match="cannot be decompressed"):
        list(scan(cut, CsvFormat(delimiter=";"), 2))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "0 bytes"),
        (b"  <!DOCTYPE html><html><body>Session expired</body></html>", "web page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><rows/>", "web page or XML"),
        (b"PK\x03\x04" + bytes(100), "ZIP archive"),
        (gzip.compress(b"a;b\n1;2\n", mtime=0), "gzip"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), r"\.xls"),
        (b"PAR1" + bytes(50), "Parquet"),
        ("a;b\n1;2\n".encode("utf-16"), "utf-16"),
        (b"a;b\n\x00\x01\x02", "binary content"),
    ],
)
def test_what_is_not_delimited_text_is_refused_by_its_name(content: bytes, kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=kind) as raised:
        check_content(write(tmp_path, content), CsvFormat(delimiter=";"))
    assert "file.csv" in str(raised.value)


def test_a_delimiter_of_two_letters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be one character"):
        check_content(write(tmp_path, b"a||b\n"), CsvFormat(delimiter="||"))


def test_the_header_tells_which_delimiter_it_is_separated_by(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\tb\tc\n1\t2\t3\n")
    assert likely_delimiter(path, CsvFormat(delimiter=";"), {"a", "b", "c"}) == "a tab"
    assert likely_delimiter(path, CsvFormat(delimiter="\t"), {"a", "b", "c"}) is None
