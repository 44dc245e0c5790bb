"""Deliveries are landed as they came, whole or not at all, and every record is accounted for."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opened_vault import OWN_FILES, plant_keys, quarantined, sealed_values
from small_bank import FILES, MAPPING, SETTINGS, write_bank, write_data

from warehouse import landing
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import LandingResult, land
from warehouse.ledger import KNOWN_FROM_THE_START, in_force, read_ledger
from warehouse.quarantine import summarise
from warehouse.sources import delimited
from warehouse.sources.bank import Bank, load_bank

STRICT = SETTINGS.replace("maximum_share: 0.5", "maximum_share: 0")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def bank_of(tmp_path: Path, mapping: str = MAPPING, settings_: str = SETTINGS) -> Bank:
    return load_bank(write_bank(tmp_path / "bank", mapping, settings_))


def land_files(tmp_path: Path, home: Home, changed: dict[str, str | bytes] | None = None) -> list[LandingResult]:
    data = write_data(tmp_path / "data")
    for name, content in (changed or {}).items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return land(bank_of(tmp_path), data, home)


def entry_of(results: list[LandingResult], source: str) -> landing.LedgerEntry:
    return next(result.entry for result in results if result.entry.source == source)


def rows_of(home: Home, entry: landing.LedgerEntry) -> list[dict[str, object]]:
    return pq.read_table(entry.parquet_path(home.landing)).to_pylist()


def files_below(home: Home) -> dict[str, bytes]:
    return {
        path.relative_to(home.root).as_posix(): path.read_bytes()
        for path in sorted(home.root.rglob("*"))
        if path.is_file() and path.name not in OWN_FILES
    }


def postings(*lines: str) -> str:
    return "posting_id,contract_id,booked_at,amount,why,other_side\n" + "".join(f"{line}\n" for line in lines)


GOOD = [f"{number},10,2021-03-02 09:00:00,{number}.00,S," for number in range(100, 110)]


def test_columns_are_landed_as_delivered_with_what_landing_knows_beside_them(tmp_path: Path, home: Home) -> None:
    results = land_files(tmp_path, home)
    first = rows_of(home, entry_of(results, "contract"))[0]
    assert first == {
        "contract_id": "10",
        "person_id": "1",
        "kind": "D",
        "opened_on": "2021-03-01",
        "share_of": "2",
        "_source_row": 1,
        "_known_on": date(2021, 3, 1),
        "_is_known_on_assumed": True,
        "_operation": "upsert",
    }


def test_identifiers_leave_the_row_and_are_derived_from_before_they_do(tmp_path: Path, home: Home) -> None:
    person = rows_of(home, entry_of(land_files(tmp_path, home), "person"))[0]
    assert len(str(person["full_name"])) == len(str(person["record_id"])) == 64
    assert person["initial"] == "Z"
    assert person["person_id"] == "1"
    assert person["_known_on"] == KNOWN_FROM_THE_START


def test_the_same_delivery_twice_changes_nothing(tmp_path: Path, home: Home) -> None:
    land_files(tmp_path, home)
    before = files_below(home)
    results = land_files(tmp_path, home)
    assert not any(result.is_new for result in results)
    assert files_below(home) == before


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINBANK_VAULT_KEY", "ab" * 32)
    hashes = []
    for name in ("one", "two"):
        results = land_files(tmp_path, plant_keys(Home(tmp_path / name), "ab" * 32))
        hashes.append([result.entry.parquet_sha256 for result in results])
    assert hashes[0] == hashes[1]


def test_read_is_landed_and_quarantined_and_filtered(tmp_path: Path, home: Home) -> None:
    mapping = MAPPING.replace(
        "    known_on: cast(booked_at as date)\n",
        "    known_on: cast(booked_at as date)\n    where: why is distinct from 'X'\n",
    )
    data = write_data(tmp_path / "data")
    lines = [*GOOD, "200,10,2021-03-02 09:00:00,1.00,X,", "bad,10,2021-03-02 09:00:00,1.00,X,", "300,10"]
    (data / "posting.csv").write_text(postings(*lines))
    results = land(bank_of(tmp_path, mapping), data, home)
    entry = entry_of(results, "posting")
    counts = (entry.rows_read, entry.rows_landed, entry.rows_quarantined, entry.rows_filtered)
    assert counts == (13, 10, 2, 1)


FAULTY = [
    ("200,10,2021-02-31 09:00:00,1.00,S,", "booked_at", "not a TIMESTAMP"),
    ("200,10,yesterday,1.00,S,", "booked_at", "not a TIMESTAMP"),
    ("200,10,2021-03-02 09:00:00,1.0.0,S,", "amount", "not a DECIMAL(18,2)"),
    ("200,10,2021-03-02 09:00:00,NaN,S,", "amount", "not a DECIMAL(18,2)"),
    ("200,10,2021-03-02 09:00:00,Infinity,S,", "amount", "not a DECIMAL(18,2)"),
    ("200,10,2021-03-02 09:00:00,99999999999999999999,S,", "amount", "not a DECIMAL(18,2)"),
    ("99999999999999999999,10,2021-03-02 09:00:00,1.00,S,", "posting_id", "not a BIGINT"),
    (",10,2021-03-02 09:00:00,1.00,S,", "posting_id", "missing, but required"),
    ("200,10,,1.00,S,", "booked_at", "missing, but required"),
    ("200,10,2021-03-02 09:00:00,1.00,S,,,", "", "8 fields instead of 6"),
    ("200,10,2021-03-02", "", "3 fields instead of 6"),
    ('200,10,2021-03-02 09:00:00,1.00,"S,', "", "a quote that is not closed within 1,048,576 bytes"),
]


def test_faulty_records_go_to_quarantine_with_line_column_and_reason(tmp_path: Path, home: Home) -> None:
    lines = [line for line, _, _ in FAULTY]
    results = land_files(tmp_path, home, {"posting.csv": postings(*GOOD, *lines, *GOOD)})
    entry = entry_of(results, "posting")
    assert (entry.rows_landed, entry.rows_quarantined) == (20, len(FAULTY))
    path = home.quarantine / "small" / f"{entry.delivery_id}.parquet"
    kept = quarantined(home, "small", entry.delivery_id)
    expected = [(12 + n, column or None, reason, line) for n, (line, column, reason) in enumerate(FAULTY)]
    assert [(row["line"], row["column"], row["reason"], row["raw"]) for row in kept] == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_quarantine_is_counted_by_delivery_column_and_reason(tmp_path: Path, home: Home) -> None:
    lines = ["x,10,2021-03-02 09:00:00,1.00,S,", "1,10", "y,10,2021-03-02 09:00:00,1.00,S,"]
    land_files(tmp_path, home, {"posting.csv": postings(*GOOD, *lines)})
    found = [(g.bank, g.source, g.file, g.column, g.reason, g.rows, g.first_line) for g in summarise(home)]
    assert found == [
        ("small", "posting", "posting.csv", "posting_id", "not a BIGINT", 2, 12),
        ("small", "posting", "posting.csv", "", "2 fields instead of 6", 1, 13),
    ]


def test_ranges_and_allowed_values_are_judged(tmp_path: Path, home: Home) -> None:
    mapping = MAPPING.replace(
        'amount: {type: "DECIMAL(18,2)"}', 'amount: {type: "DECIMAL(18,2)", minimum: -5, maximum: 200}'
    )
    mapping = mapping.replace("      why: {}", "      why: {values: [S, F, X]}")
    data = write_data(tmp_path / "data")
    bad = [
        "200,10,2021-03-02 09:00:00,-5.01,S,",
        "201,10,2021-03-02 09:00:00,200.01,Q,",
        "202,10,2021-03-02 09:00:00,-5,,",
    ]
    (data / "posting.csv").write_text(postings(*GOOD, *bad))
    land(bank_of(tmp_path, mapping), data, home)
    assert [(group.column, group.reason) for group in summarise(home)] == [
        ("amount", "below -5"),
        ("amount", "above 200"),
        ("why", "not one of S, F, X"),
    ]


def test_a_record_with_two_faults_counts_once(tmp_path: Path, home: Home) -> None:
    results = land_files(tmp_path, home, {"posting.csv": postings(*GOOD, "x,10,y,1,S,")})
    assert entry_of(results, "posting").rows_quarantined == 1
    assert sorted(group.column for group in summarise(home)) == ["booked_at", "posting_id"]


def test_too_many_faulty_records_refuse_the_delivery_with_counts_and_examples(tmp_path: Path, home: Home) -> None:
    data = write_data(tmp_path / "data")
    (data / "posting.csv").write_text(postings(*GOOD, "x,10,2021-03-02 09:00:00,1.00,S,"))
    with pytest.raises(UserError, match="too many faulty records") as raised:
        land(bank_of(tmp_path, settings_=STRICT), data, home)
    message = str(raised.value)
    assert "1 of 11 records read (9.09%)" in message
    assert "line 12: column posting_id: not a BIGINT" in message
    assert "quarantine.maximum_share" in message
    assert not any(entry.source == "posting" for entry in read_ledger(home.landing, "small"))
    assert not [name for name in files_below(home) if "posting" in name or "quarantine" in name or ".tmp" in name]


def test_a_wrong_encoding_is_told_with_the_setting_to_correct(tmp_path: Path, home: Home) -> None:
    text = FILES["person.csv"].replace("Zhang San", "张三").replace("Li Si", "李四")
    data = write_data(tmp_path / "data")
    (data / "person.csv").write_bytes(text.encode("gb18030"))
    with pytest.raises(UserError, match=r"sources\.person\.format\.encoding says utf-8"):
        land(bank_of(tmp_path, settings_=STRICT), data, home)
    mapping = MAPPING.replace(
        "file: person.csv\n    format: {type: csv}", "file: person.csv\n    format: {type: csv, encoding: gb18030}"
    )
    results = land(bank_of(tmp_path, mapping, STRICT), data, home)
    assert rows_of(home, entry_of(results, "person"))[0]["initial"] == "张"


def remove(name: str) -> Callable[[Path], None]:
    return lambda data: (data / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda data: (data / name).write_bytes(content) and None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (remove("posting.csv"), ["no file", "posting.csv", "sources.posting.file", "branch.csv"]),
        (write("posting.csv", b""), ["empty", "posting.csv"]),
        (write("posting.csv", b"<html><body>404</body></html>"), ["not delimited text", "web page", "posting.csv"]),
        (write("posting.csv", b"PK\x03\x04" + bytes(60)), ["not delimited text", "ZIP", "posting.csv"]),
        (
            write("posting.csv", FILES["posting.csv"].replace(",", ";").encode()),
            ["columns of source posting are missing", "';'", "format.delimiter"],
        ),
        (
            write("posting.csv", FILES["posting.csv"].replace("booked_at", "booked").encode()),
            ["missing: booked_at", "not declared: booked", "line 1"],
        ),
        (write("posting.csv", FILES["posting.csv"].replace("other_side", "why").encode()), ["missing: other_side"]),
        (write("posting.csv", b"1,2,3\n4,5,6\n"), ["missing", "hardly a header"]),
        (
            write("posting.csv", FILES["posting.csv"].replace("why,other_side", "why,other_side,WHY").encode()),
            ["twice: why"],
        ),
        (
            write("posting.csv", FILES["posting.csv"].replace("why,other_side", "why,other_side,_known_on").encode()),
            ["reserved: _known_on"],
        ),
    ],
)
def test_a_wrong_file_is_refused_by_name_before_anything_is_landed(
    spoil: Callable[[Path], None], words: list[str], tmp_path: Path, home: Home
) -> None:
    data = write_data(tmp_path / "data")
    spoil(data)
    with pytest.raises(UserError) as raised:
        land(bank_of(tmp_path), data, home)
    for word in words:
        assert word in str(raised.value)
    assert raised.value.exit_code == 2
    assert files_below(home) == {} if home.root.exists() else True


def test_a_missing_data_folder_is_told(tmp_path: Path, home: Home) -> None:
    with pytest.raises(UserError, match="folder with the deliveries is not there"):
        land(bank_of(tmp_path), tmp_path / "nowhere", home)


def test_a_header_alone_is_a_delivery_of_no_rows(tmp_path: Path, home: Home) -> None:
    entry = entry_of(land_files(tmp_path, home, {"posting.csv": postings()}), "posting")
    assert (entry.rows_read, entry.rows_landed, entry.known_to) == (0, 0, None)
    assert pq.read_schema(entry.parquet_path(home.landing)).field("_known_on").type == pa.date32()


def test_an_undeclared_column_goes_to_the_vault_whole_and_is_reported(tmp_path: Path, home: Home) -> None:
    text = (
        FILES["branch.csv"]
        .replace("branch_id,town", "branch_id,note,town")
        .replace("1,H", "1,secret,H")
        .replace("2,N", "2,,N")
    )
    lines: list[str] = []
    data = write_data(tmp_path / "data", FILES | {"branch.csv": text})
    results = land(bank_of(tmp_path), data, home, lines.append)
    entry = entry_of(results, "branch")
    assert entry.undeclared_columns == ("note",)
    assert any("not declared in the mapping" in line and "note" in line for line in lines)
    assert "note" not in pq.read_schema(entry.parquet_path(home.landing)).names
    assert sealed_values(home, "small", entry.delivery_id) == [(None, 1, "note", "secret")]


def test_dated_folders_are_deliveries_known_on_their_date(tmp_path: Path, home: Home) -> None:
    results = land_files(
        tmp_path,
        home,
        {
            "2021/05/02/posting.csv": postings("102,10,2021-05-01 10:00:00,7.00,S,"),
            "2021/05/03/posting.csv": postings("103,10,2021-05-03 10:00:00,7.00,S,"),
            "2021/05/03/deletes/posting.csv": "posting_id\n102\n",
        },
    )
    later = [(r.entry.known_on, r.entry.operation, r.entry.file) for r in results if r.entry.known_on]
    assert later == [
        (date(2021, 5, 2), "upsert", "2021/05/02/posting.csv"),
        (date(2021, 5, 3), "delete", "2021/05/03/deletes/posting.csv"),
        (date(2021, 5, 3), "upsert", "2021/05/03/posting.csv"),
    ]
    rows = [row for r in results if r.entry.known_on for row in rows_of(home, r.entry)]
    assert [(row["posting_id"], row["_known_on"], row["_operation"]) for row in rows] == [
        ("102", date(2021, 5, 2), "upsert"),
        ("102", date(2021, 5, 3), "delete"),
        ("103", date(2021, 5, 3), "upsert"),
    ]
    assert not any(row["_is_known_on_assumed"] for row in rows)


def test_a_folder_that_is_no_date_and_a_file_of_no_source_are_told(tmp_path: Path, home: Home) -> None:
    data = write_data(tmp_path / "data")
    (data / "2021/05/01").mkdir(parents=True)
    (data / "2021/05/01/postings.csv").write_text("x")
    lines: list[str] = []
    land(bank_of(tmp_path), data, home, lines.append)
    assert any("2021/05/01/postings.csv belongs to no source" in line for line in lines)
    (data / "2021/02/30").mkdir(parents=True)
    with pytest.raises(UserError, match="no date"):
        land(bank_of(tmp_path), data, home)


@pytest.mark.parametrize("name", ["20210501", "2021-05-01", "2021/5", "2021/05/1", "2021/05/01 copy"])
def test_a_folder_meant_as_a_date_and_written_otherwise_is_refused(tmp_path: Path, home: Home, name: str) -> None:
    data = write_data(tmp_path / "data")
    (data / name).mkdir(parents=True)
    with pytest.raises(UserError, match="no date") as told:
        land(bank_of(tmp_path), data, home)
    assert str(data / name) in str(told.value)
    assert "YYYY/MM/DD" in str(told.value)
    assert files_below(home) == {}


def test_a_folder_that_the_mapping_names_may_begin_with_a_digit(tmp_path: Path, home: Home) -> None:
    data = write_data(tmp_path / "data")
    (data / "01_core").mkdir()
    (data / "branch.csv").rename(data / "01_core" / "branch.csv")
    mapping = MAPPING.replace("file: branch.csv", "file: 01_core/branch.csv")
    assert entry_of(land(bank_of(tmp_path, mapping), data, home), "branch").rows_landed == 2


def test_a_glob_takes_every_file_it_names_and_not_those_of_dated_folders(tmp_path: Path, home: Home) -> None:
    mapping = MAPPING.replace("file: posting.csv", "file: '**/post*.csv'")
    data = write_data(tmp_path / "data")
    for name in ("more/post2.csv", "2021/05/02/posting.csv"):
        (data / name).parent.mkdir(parents=True)
        (data / name).write_text(postings(f"{len(name)},10,2021-05-01 10:00:00,7.00,S,"))
    results = land(bank_of(tmp_path, mapping), data, home)
    found = [(r.entry.file, r.entry.known_on) for r in results if r.entry.source == "posting"]
    assert found == [("more/post2.csv", None), ("posting.csv", None), ("2021/05/02/posting.csv", date(2021, 5, 2))]


def test_a_changed_landing_specification_lands_again_and_takes_the_place_of_the_old(tmp_path: Path, home: Home) -> None:
    data = write_data(tmp_path / "data")
    first = entry_of(land(bank_of(tmp_path), data, home), "branch")
    mapping = MAPPING.replace("      town: {}", "      town: {required: true}")
    second = entry_of(land(bank_of(tmp_path, mapping), data, home), "branch")
    assert second.supersedes == first.delivery_id
    assert second.landing_hash != first.landing_hash
    entries = read_ledger(home.landing, "small")
    assert len([entry for entry in entries if entry.source == "branch"]) == 2
    assert [entry for entry in in_force(entries) if entry.source == "branch"] == [second]
    back = land(bank_of(tmp_path), data, home)
    assert entry_of(back, "branch").delivery_id == first.delivery_id
    assert [e.delivery_id for e in in_force(read_ledger(home.landing, "small")) if e.source == "branch"] == [
        first.delivery_id
    ]


def test_a_file_put_in_the_place_of_another_is_what_counts(tmp_path: Path, home: Home) -> None:
    land_files(tmp_path, home)
    changed = entry_of(land_files(tmp_path, home, {"branch.csv": "branch_id,town\n1,Wenzhou\n"}), "branch")
    counted = [entry for entry in in_force(read_ledger(home.landing, "small")) if entry.source == "branch"]
    assert counted == [changed]
    assert changed.supersedes is not None


def test_parquet_keeps_its_types_and_is_judged_by_the_same_rules(tmp_path: Path, home: Home) -> None:
    mapping = MAPPING.replace(
        "file: posting.csv\n    format: {type: csv}", "file: posting.parquet\n    format: {type: parquet}"
    )
    data = write_data(tmp_path / "data")
    con = duckdb.connect()
    path = data / "posting.parquet"
    con.execute(
        f"""copy (
            select i as posting_id, 10 as contract_id, timestamp '2021-03-02 09:00:00' as booked_at,
                case when i = 3 then 'nan'::double else i::double end as amount,
                'S' as why, '6222' || i as other_side, [i] as tags
            from range(1, 6) rows(i)
        ) to '{path}' (format parquet)"""
    )
    results = land(bank_of(tmp_path, mapping), data, home)
    entry = entry_of(results, "posting")
    assert (entry.rows_read, entry.rows_landed, entry.rows_quarantined) == (5, 4, 1)
    assert entry.undeclared_columns == ("tags",)
    schema = pq.read_schema(entry.parquet_path(home.landing))
    assert (schema.field("posting_id").type, schema.field("amount").type) == (pa.int64(), pa.float64())
    assert schema.field("other_side").type == pa.string()
    (group,) = summarise(home)
    assert (group.column, group.reason, group.first_line) == ("amount", "not a DECIMAL(18,2)", 3)


def test_a_cut_parquet_file_is_refused(tmp_path: Path, home: Home) -> None:
    mapping = MAPPING.replace(
        "file: posting.csv\n    format: {type: csv}", "file: posting.parquet\n    format: {type: parquet}"
    )
    data = write_data(tmp_path / "data")
    pq.write_table(pa.table({"posting_id": [1]}), data / "whole.parquet")
    (data / "posting.parquet").write_bytes((data / "whole.parquet").read_bytes()[:-20])
    with pytest.raises(UserError, match="not a whole Parquet file"):
        land(bank_of(tmp_path, mapping), data, home)


def test_an_expression_that_fails_is_named_without_the_value(tmp_path: Path, home: Home) -> None:
    mapping = MAPPING.replace(
        '{expression: "left(full_name, 1)", type: VARCHAR}', '{expression: "cast(full_name as integer)", type: INTEGER}'
    )
    data = write_data(tmp_path / "data")
    with pytest.raises(UserError, match=r"derive\.initial") as raised:
        land(bank_of(tmp_path, mapping), data, home)
    assert "Zhang" not in str(raised.value)


def test_an_expression_can_open_no_file(tmp_path: Path, home: Home) -> None:
    source = bank_of(tmp_path).mapping.sources["branch"]
    bank = bank_of(tmp_path)
    stealing = replace(source, where="exists (select 1 from read_text('/etc/hostname'))")
    bank = replace(bank, mapping=replace(bank.mapping, sources=dict(bank.mapping.sources) | {"branch": stealing}))
    with pytest.raises(UserError, match="expression of the mapping fails"):
        land(bank, write_data(tmp_path / "data"), home)


def test_a_lost_record_is_noticed_and_nothing_is_landed(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = delimited.parse
    monkeypatch.setattr(delimited, "parse", lambda *arguments: honest(*arguments).slice(1))
    with pytest.raises(UserError, match="not accounted for") as raised:
        land_files(tmp_path, home)
    assert "2 read; 1 landed + 0 quarantined + 0 filtered + 0 erased + 0 unchanged = 1" in str(raised.value)
    assert read_ledger(home.landing, "small") == []


def test_a_file_that_changes_while_it_is_read_is_not_landed(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = delimited.DelimitedRows.batches

    def growing(rows: delimited.DelimitedRows):
        yield from honest(rows)
        with rows.path.open("a") as handle:
            handle.write("9,Suzhou\n")

    monkeypatch.setattr(delimited.DelimitedRows, "batches", growing)
    with pytest.raises(UserError, match="changed while it was read"):
        land_files(tmp_path, home)
    assert read_ledger(home.landing, "small") == []


@pytest.mark.parametrize("place", ["a file", "below a file", "a file system that takes none"])
def test_an_unwritable_home_is_told_also_to_root(place: str, tmp_path: Path) -> None:
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    root = {"a file": blocker, "below a file": blocker / "home"}.get(place, Path("/proc/mainbank-home"))
    with pytest.raises(UserError, match="cannot be written"):
        land_files(tmp_path, Home(root))


def test_a_full_disk_is_told_and_leaves_nothing_half_written(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(UserError, match="disk is full"):
            land_files(tmp_path, home)
    assert files_below(home) == {}
    assert all(result.is_new for result in land_files(tmp_path, home))


def test_two_landings_at_once_are_refused(tmp_path: Path, home: Home) -> None:
    home.prepare()
    with landing._exclusive(home, "small"), pytest.raises(UserError, match="another process is landing"):
        land_files(tmp_path, home)


def test_the_ledger_is_readable_json_that_holds_no_row(tmp_path: Path, home: Home) -> None:
    entry = entry_of(land_files(tmp_path, home), "person")
    text = (home.landing / "small" / "ledger" / f"{entry.delivery_id}.json").read_text()
    assert json.loads(text)["rows_read"] == 2
    assert "Zhang" not in text


LETTERS = st.binary(min_size=1, max_size=6)
EDITS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 8), LETTERS), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_a_spoiled_file_is_accounted_for_to_the_record_or_refused_with_its_name(
    edits: list[tuple[int, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("spoiled")
    content = postings(*GOOD).encode()
    for position, removed, inserted in edits:
        content = content[:position] + inserted + content[position + removed :]
    home = Home(tmp_path / "home")
    data = write_data(tmp_path / "data")
    (data / "posting.csv").write_bytes(content)
    try:
        results = land(bank_of(tmp_path), data, home)
    except UserError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "posting" in refusal
        return
    entry = entry_of(results, "posting")
    assert entry.rows_read == entry.rows_landed + entry.rows_quarantined + entry.rows_filtered
    assert len(rows_of(home, entry)) == entry.rows_landed
