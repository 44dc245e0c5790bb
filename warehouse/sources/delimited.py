"""Delimited text files: physical records found on the bytes, judged for their form, and parsed as text.

Records are found twice and apart: `scan` counts them with NumPy on the raw bytes, Arrow's reader then parses what
`scan` lets through, and the two counts must agree block by block. Which values a column may hold is judged by
`landing`.

Rules of form, so that every byte of a file belongs to exactly one record:

- a record ends at a line end outside quotes; LF and CRLF may be mixed; blank lines are no records;
- a quote opens a quoted field only at the field's beginning; inside an unquoted field it is a letter like others;
- a quoted field ends where its quote is followed by a delimiter or a line end. If it is not, or if no end comes
  within `MAXIMUM_RECORD`, or if a record over several lines has the wrong number of fields, then the first of its
  lines is the faulty record and reading goes on at the next line: one open quote never swallows a file.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from warehouse.errors import UserError
from warehouse.sources.delivered import SOURCE_ROW, RowBatch
from warehouse.sources.specification import CsvFormat

Offsets = npt.NDArray[np.int64]
#: Starts, ends and faults (by position) of the complete records of a text, and how much of it they use.
_Records = tuple[Offsets, Offsets, dict[int, str], int]

#: Longest record in bytes of UTF-8; longer ones are faulty. Bounds memory and the search for a closing quote.
MAXIMUM_RECORD = 1 << 20
#: Bytes read at a time: small enough for a few blocks in flight, large enough that NumPy's calls cost nothing.
CHUNK = 8 << 20
#: Bytes looked at to tell what a file is.
HEAD = 64 << 10

_NOT_DECODABLE = "\0e"  # put in the place of bytes that are not of the encoding
_TOO_LONG = b"\0l"  # put at the end of what is kept of a line beyond MAXIMUM_RECORD
_KEPT_OF_LONG_LINE = 1024
_STRETCH = 64 << 10  # how much is read with care around a place that is not clean
_CANDIDATE_DELIMITERS = {";": "';'", ",": "','", "\t": "a tab", "|": "'|'", "^": "'^'", ":": "':'", "\x01": r"'\x01'"}
_KNOWN_CONTENT = (
    (b"PK\x03\x04", "a ZIP archive (an .xlsx workbook is one)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls)"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "a SQLite database"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"(\xb5/\xfd", "a zstd file"),
)
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<script")


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return _NOT_DECODABLE + "".join(f"\\x{byte:02x}" for byte in wrong), error.end


codecs.register_error("mark_undecodable", _mark_undecodable)


@dataclass(frozen=True)
class RecordBlock:
    """Consecutive physical records of a file.

    Attributes
    ----------
    path
        The file.
    text
        Their bytes, as UTF-8.
    starts, ends
        Offsets of each record in `text`; `ends` is behind its line end.
    first_record, first_line
        Number of the first record (the header is not counted) and of the first line of `text` (the first of a
        file is 1).
    faults
        Reason by record number, of the records whose form is wrong.
    """

    path: Path
    text: bytes
    starts: Offsets
    ends: Offsets
    first_record: int
    first_line: int
    faults: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.starts)

    def originals(self, records: Sequence[int]) -> list[tuple[int, str]]:
        """Line of the file on which each of some records begins, and the record as it stands there.

        Bytes that are not of the encoding are spelled in hexadecimal.
        """
        line_ends = np.flatnonzero(np.frombuffer(self.text, dtype=np.uint8) == 10)
        found = []
        for record in records:
            start, end = (int(offsets[record - self.first_record]) for offsets in (self.starts, self.ends))
            raw = self.text[start:end].decode("utf-8").rstrip("\r\n")
            raw = raw.replace(_NOT_DECODABLE, "").replace(_TOO_LONG.decode(), " ...").replace("\0", "\\x00")
            found.append((self.first_line + int(np.searchsorted(line_ends, start)), raw))
        return found

    def well_formed(self, fields: int, delimiter: bytes) -> bytes:
        """The text for the parser: each faulty record replaced by one of empty fields, so that numbers stay."""
        if (
            not self.faults
            and len(self)
            and int(self.ends[-1] - self.starts[0]) == int((self.ends - self.starts).sum())
        ):
            return self.text[int(self.starts[0]) : int(self.ends[-1])]
        placeholder = b"x" + delimiter * (fields - 1) + b"\n"
        pieces = []
        for index, (start, end) in enumerate(zip(self.starts.tolist(), self.ends.tolist(), strict=True)):
            faulty = self.first_record + index in self.faults
            pieces.append(placeholder if faulty else self.text[start:end])
        return b"".join(pieces)


def check_content(path: Path, format_: CsvFormat) -> None:
    """Refuse what is not delimited text at all, by its first bytes.

    Raises
    ------
    UserError
        If the file is empty, a web page, an archive, a workbook or another binary file.
    """
    for name in ("delimiter", "quote", "escape"):
        character = getattr(format_, name)
        if len(character.encode()) > 1 or (name == "delimiter" and not character):
            raise UserError(
                f"`format.{name}` of a delimited file must be one character",
                where=str(path),
                found=repr(character),
                valid="one ASCII character" + ("" if name == "delimiter" else ", or an empty text for none"),
            )
    valid = f"a text file with fields separated by {_spell(format_.delimiter)}, encoded as {format_.encoding}"
    with _readable(path), _open(path) as handle:
        head = handle.read(HEAD)
    if not head:
        raise UserError("the file is empty", where=str(path), found="0 bytes", valid=f"{valid}; a header at least")
    kind = next((name for magic, name in _KNOWN_CONTENT if head.startswith(magic)), None)
    stripped = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if stripped.startswith(_MARKUP):
        kind = "a web page or XML document (often the error page of the system it was fetched from)"
    wide = format_.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
    if kind is None and not wide:
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            kind = "text encoded as utf-16"
        elif b"\0" in head[:4096]:
            kind = "binary content (zero bytes)"
    if kind is not None:
        raise UserError(
            "the file is not delimited text",
            where=str(path),
            found=kind,
            valid=valid,
            next_step="export it again, or correct `file` and `format` of the source in the mapping",
        )


def read_header(path: Path, format_: CsvFormat) -> list[str]:
    """Names in the first record of a file.

    Raises
    ------
    UserError
        If there is no readable first record.
    """
    with _readable(path), _open(path) as handle:
        head = b"".join(_utf8_chunks(handle, format_.encoding, HEAD, MAXIMUM_RECORD))
    text = head.lstrip(b"\r\n")
    parser = _RecordParser(format_, fields=None)
    _, end, fault = parser.record(text + b"\n", 0, len(text) + 1)
    if fault is not None or end is None:
        others = [
            spelled
            for candidate, spelled in _CANDIDATE_DELIMITERS.items()
            if candidate != format_.delimiter and _is_record(text, dataclasses.replace(format_, delimiter=candidate))
        ]
        raise UserError(
            "the header of the file cannot be read",
            where=f"{path}, line 1",
            found=fault or "a quote that is not closed",
            valid=f"column names separated by {_spell(format_.delimiter)}, encoded as {format_.encoding}",
            next_step=f"it seems to be separated by {others[0]}: correct format.delimiter of the source in the mapping"
            if others
            else None,
        )
    record = text[:end].decode("utf-8").rstrip("\r\n")
    reader = csv.reader(
        io.StringIO(record),
        delimiter=format_.delimiter,
        quotechar=format_.quote or None,
        quoting=csv.QUOTE_MINIMAL if format_.quote else csv.QUOTE_NONE,
    )
    names = [name.strip() for name in next(reader, [])]
    # A delimiter at the end of the header makes a column without a name; it still has a place.
    return [name or f"column_{position}" for position, name in enumerate(names, start=1)]


def _is_record(text: bytes, format_: CsvFormat) -> bool:
    """Whether text begins with a record of several fields in that format."""
    fields, end, fault = _RecordParser(format_, fields=None).record(text + b"\n", 0, len(text) + 1)
    return fault is None and end is not None and fields > 1


def likely_delimiter(path: Path, format_: CsvFormat, expected: set[str]) -> str | None:
    """Another delimiter under which the header names more of the expected columns, spelled for a message."""
    best, best_count = None, len(expected.intersection(read_header(path, format_)))
    for candidate, spelled in _CANDIDATE_DELIMITERS.items():
        if candidate == format_.delimiter:
            continue
        other = CsvFormat(candidate, format_.quote, format_.escape, format_.encoding, format_.header)
        try:
            count = len(expected.intersection(read_header(path, other)))
        except UserError:
            continue
        if count > best_count:
            best, best_count = spelled, count
    return best


def scan(path: Path, format_: CsvFormat, fields: int) -> Iterator[RecordBlock]:
    """Find the physical records of a file, in order and in bounded memory.

    Parameters
    ----------
    path
        A text file, or one compressed with gzip and named `.gz`.
    format_
        Delimiter, quote, escape, encoding, header. The header is not a record.
    fields
        Number of fields a record must have.

    Yields
    ------
    RecordBlock
        With at least one record.

    Raises
    ------
    UserError
        If the file cannot be read or decompressed.
    """
    parser = _RecordParser(format_, fields)
    record, line = 1, 1
    header_is_due = format_.header
    carry = b""
    with _readable(path), _open(path) as handle:
        chunks = _limited_lines(_utf8_chunks(handle, format_.encoding, CHUNK))
        chunk = next(chunks, b"")
        while chunk or carry:
            following = next(chunks, b"")
            is_last = not following
            text = carry + chunk
            if is_last and text and not text.endswith(b"\n"):
                text += b"\n"
            starts, ends, faults, used = parser.records(text, is_last)
            first = 0
            if header_is_due and len(starts):
                first, header_is_due = 1, False
            if len(starts) > first:
                yield RecordBlock(
                    path,
                    text,
                    starts[first:],
                    ends[first:],
                    record,
                    line,
                    {record + index - first: fault for index, fault in faults.items() if index >= first},
                )
            record += len(starts) - first
            line += int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8, count=used) == 10))
            carry, chunk = text[used:], following


def parse(block: RecordBlock, names: list[str], format_: CsvFormat) -> pa.Table:
    """Fields of the well-formed records of a block, as text.

    Parameters
    ----------
    block
        From `scan`.
    names
        One per field, unique.

    Returns
    -------
    pyarrow.Table
        The columns `names` (string, never null) and `_source_row` (int64).

    Raises
    ------
    UserError
        If the parser finds another number of records than `scan` did.
    """
    text = block.well_formed(len(names), format_.delimiter.encode())
    # What a text does not hold the parser need not look for, which takes half as long.
    quotes = bool(format_.quote) and format_.quote.encode() in text
    escapes = bool(format_.escape) and format_.escape != format_.quote and format_.escape.encode() in text
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(text),
            read_options=pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
            parse_options=pa.csv.ParseOptions(
                delimiter=format_.delimiter,
                quote_char=format_.quote if quotes else False,
                double_quote=quotes and format_.escape in ("", format_.quote),
                escape_char=format_.escape if escapes else False,
                newlines_in_values=quotes or escapes,
                ignore_empty_lines=True,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[],
                strings_can_be_null=False,
                check_utf8=not text.isascii(),
            ),
        )
    except pa.ArrowInvalid as error:
        # The parser's message may quote a row: only the place is told.
        raise _counts_differ(block, "the parser refused them") from error
    if table.num_rows != len(block):
        raise _counts_differ(block, f"the parser found {table.num_rows:,}")
    numbers = np.arange(block.first_record, block.first_record + len(block), dtype=np.int64)
    table = table.append_column(SOURCE_ROW, pa.array(numbers))
    if block.faults:
        faulty = np.fromiter(block.faults, dtype=np.int64, count=len(block.faults))
        table = table.filter(pa.array(~np.isin(numbers, faulty)))
    return table


class DelimitedRows:
    """A delimited text file.

    Parameters
    ----------
    path
        The file; one that is named `.gz` is decompressed.
    format_
        From the mapping.
    declared
        Names of the columns if the file has no header.

    Raises
    ------
    UserError
        If it is not delimited text, or its header cannot be read.
    """

    def __init__(self, path: Path, format_: CsvFormat, declared: Sequence[str]) -> None:
        self.path = path
        self._format = format_
        check_content(path, format_)
        self._names = read_header(path, format_) if format_.header else list(declared)

    @property
    def column_names(self) -> list[str]:
        """The columns it has, in its own order."""
        return self._names

    def is_text(self, column: str) -> bool:  # noqa: ARG002
        """Always true: what a text means is the mapping's to say."""
        return True

    @property
    def most_records(self) -> int | None:
        """As many as there would be if every field were empty; unknown for a compressed file."""
        if self.path.suffix == ".gz":
            return None
        return self.path.stat().st_size // len(self._names) + 1

    def empty_rows(self) -> pa.Table:
        """No rows, with the columns of a batch."""
        texts = {name: pa.nulls(0, pa.string()) for name in self._names}
        return pa.table(texts | {SOURCE_ROW: pa.nulls(0, pa.int64())})

    def batches(self) -> Iterator[RowBatch]:
        """The rows, in order and in bounded memory."""
        for block in scan(self.path, self._format, len(self._names)):
            rows = parse(block, self._names, self._format)
            yield RowBatch(rows, len(block), block.originals, block.faults)


class _RecordParser:
    """Finds where records begin and end, vectorised where the text is clean, byte by byte where it is not."""

    def __init__(self, format_: CsvFormat, fields: int | None) -> None:
        self.delimiter = format_.delimiter.encode()
        self.quote = format_.quote.encode()
        self.escape = format_.escape.encode() if format_.escape != format_.quote else b""
        self.fields = fields
        self.encoding = format_.encoding
        kept = b"\n" + self.delimiter + self.quote
        self._not_structure = bytes(byte for byte in range(256) if byte not in kept)

    def records(self, text: bytes, is_last: bool) -> _Records:
        """Starts, ends and faults (by position) of the complete records of a text, and how much of it they use."""
        clean = self._clean_records(text, is_last)
        return self._each_record(text, is_last) if clean is None else clean

    def _clean_records(self, text: bytes, is_last: bool) -> _Records | None:
        """The same by NumPy, or None if something in the text needs the careful way."""
        if b"\0" in text or (self.escape and self.escape in text):
            return None
        content = np.frombuffer(text, dtype=np.uint8)
        lines = np.flatnonzero(content == 10)
        # A carriage return that is not part of a line end may be text or not: that takes care.
        if np.count_nonzero(content == 13) != np.count_nonzero(content[lines[lines > 0] - 1] == 13):
            return None
        structure = np.frombuffer(text.translate(None, self._not_structure), dtype=np.uint8)
        line_ends = np.flatnonzero(structure == 10)
        delimiters = structure == self.delimiter[0]
        has_inner_lines = False
        if self.quote and self.quote in text:
            quotes = np.flatnonzero(content == self.quote[0])
            if not self._quotes_fit(content, quotes):
                return None
            # Behind an odd number of quotes one is inside a field: its delimiters and line ends are text.
            # uint8 may overflow: only the lowest bit counts.
            inside = np.cumsum(structure == self.quote[0], dtype=np.uint8) & 1
            outside = inside[line_ends] == 0
            has_inner_lines = not bool(outside.all())
            delimiters &= inside == 0
            lines, line_ends = lines[outside], line_ends[outside]
        if len(lines) == 0:
            return None if is_last or len(text) > MAXIMUM_RECORD else _no_records()
        ends = lines + 1
        starts = np.concatenate(([0], ends[:-1]))
        if (is_last and int(ends[-1]) != len(text)) or len(text) - int(ends[-1]) > MAXIMUM_RECORD:
            return None
        lengths = ends - starts
        if int(lengths.max()) > MAXIMUM_RECORD:
            return None
        fields = np.diff(np.cumsum(delimiters, dtype=np.int32)[line_ends], prepend=0) + 1
        blank = (lengths == 1) | ((lengths == 2) & (content[starts] == 13))
        if bool(blank.any()):
            starts, ends, fields = starts[~blank], ends[~blank], fields[~blank]
        wrong = np.flatnonzero(fields != self.fields)
        if len(wrong) and has_inner_lines:
            return None
        faults = {int(index): self._wrong_number(int(fields[index])) for index in wrong}
        return starts, ends, faults, int(lines[-1]) + 1

    def _quotes_fit(
        self,
        content: npt.NDArray[np.uint8],
        quotes: Offsets,
    ) -> bool:
        """Whether each quote stands where a field begins or ends, or beside another one (an escaped quote)."""
        limits = np.zeros(256, dtype=bool)
        limits[[10, self.quote[0], self.delimiter[0]]] = True
        opening, closing = quotes[0::2], quotes[1::2]
        before = content[opening - 1]
        if opening[0] == 0:
            before[0] = 10
        if not bool(limits[before].all()):
            return False
        limits[13] = True
        if len(closing) and closing[-1] == len(content) - 1:
            closing = closing[:-1]
        return bool(limits[content[closing + 1]].all())

    def _each_record(self, text: bytes, is_last: bool) -> _Records:
        """The same with care, where it is needed: clean stretches in between still go the fast way."""
        starts: list[Offsets] = []
        ends: list[Offsets] = []
        faults: dict[int, str] = {}
        position, found = 0, 0
        while position < len(text):
            stretch_end = text.rfind(b"\n", position, position + _STRETCH) + 1
            stretch = self._clean_records(text[position:stretch_end], False) if stretch_end else None
            if stretch is None or stretch[3] == 0:
                stretch = self._careful_records(text, position, max(stretch_end, position + 1), is_last)
                if stretch[3] == position:
                    break
                used = stretch[3]
            else:
                used = position + stretch[3]
                stretch = (stretch[0] + position, stretch[1] + position, stretch[2], used)
            starts.append(stretch[0])
            ends.append(stretch[1])
            faults.update({found + index: fault for index, fault in stretch[2].items()})
            found += len(stretch[0])
            position = used
        if not starts:
            return _no_records()
        return np.concatenate(starts), np.concatenate(ends), faults, position

    def _careful_records(self, text: bytes, position: int, until: int, is_last: bool) -> _Records:
        """Records that begin between `position` and `until`, one after the other."""
        starts: list[int] = []
        ends: list[int] = []
        faults: dict[int, str] = {}
        # What is behind the last line end is not complete; a record that needs it is left for the next block.
        complete = text.rfind(b"\n") + 1
        while position < min(until, complete):
            line_end = text.index(b"\n", position) + 1
            if text[position:line_end] in (b"\n", b"\r\n"):
                position = line_end
                continue
            fields, end, fault = self.record(text, position, min(complete, position + MAXIMUM_RECORD))
            if end is None:
                if not is_last and len(text) - position <= MAXIMUM_RECORD:
                    break
                end, fault = line_end, fault or f"a quote that is not closed within {MAXIMUM_RECORD:,} bytes"
            if fault is None and self.fields is not None and fields != self.fields:
                fault = self._wrong_number(fields)
                if end != line_end:
                    fault += " in a record of several lines: a quote may be missing"
            if fault is not None:
                end = line_end
                faults[len(starts)] = fault
            starts.append(position)
            ends.append(end)
            position = end
        return np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64), faults, position

    def record(self, text: bytes, start: int, limit: int) -> tuple[int, int | None, str | None]:
        """Number of fields, end and fault of the record that begins at `start`; end None if it has none."""
        position, fields = start, 0
        while True:
            fields += 1
            if self.quote and text.startswith(self.quote, position):
                close = self._closing_quote(text, position + 1, limit)
                if close is None:
                    return fields, None, None
                position = close + 1
                if not text.startswith((self.delimiter, b"\n", b"\r\n"), position):
                    return fields, self._line_end(text, start), "text behind the closing quote of a field"
            field_end = self._field_end(text, position, limit)
            if field_end < 0:
                return fields, None, None
            is_record_end = text.startswith(b"\n", field_end)
            content_end = field_end - 1 if is_record_end and text.endswith(b"\r", position, field_end) else field_end
            if text.find(b"\r", position, content_end) >= 0:
                return fields, self._line_end(text, start), "a carriage return inside a line"
            if is_record_end:
                return fields, field_end + 1, self._content_fault(text[start:field_end])
            position = field_end + 1

    def _closing_quote(self, text: bytes, position: int, limit: int) -> int | None:
        while True:
            close = text.find(self.quote, position, limit)
            if close < 0 or close + 1 >= limit:
                return None
            if self.escape:
                escapes = 0
                while text[close - 1 - escapes : close - escapes] == self.escape:
                    escapes += 1
                if escapes % 2 == 0:
                    return close
                position = close + 1
            elif text.startswith(self.quote, close + 1):
                position = close + 2
            else:
                return close

    def _field_end(self, text: bytes, position: int, limit: int) -> int:
        """Offset of the delimiter or line end that ends an unquoted field, negative if there is none."""
        while True:
            line_end = text.find(b"\n", position, limit)
            delimiter = text.find(self.delimiter, position, limit if line_end < 0 else line_end)
            end = line_end if delimiter < 0 else delimiter
            escaped = text.find(self.escape, position, end) if self.escape and end >= 0 else -1
            if escaped < 0:
                return end
            position = escaped + 2

    @staticmethod
    def _line_end(text: bytes, start: int) -> int | None:
        end = text.find(b"\n", start)
        return None if end < 0 else end + 1

    def _content_fault(self, record: bytes) -> str | None:
        if b"\0" in record:
            if _TOO_LONG in record:
                return f"a line longer than {MAXIMUM_RECORD:,} bytes"
            if _NOT_DECODABLE.encode() in record:
                return f"bytes that are not {self.encoding}"
            return "a zero byte"
        return None

    def _wrong_number(self, found: int) -> str:
        return f"{found} fields instead of {self.fields}"


def _no_records() -> _Records:
    empty = np.empty(0, dtype=np.int64)
    return empty, empty, {}, 0


def _limited_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut lines beyond MAXIMUM_RECORD to a marked beginning, without ever holding one whole."""
    pending = b""
    is_skipping = False
    for chunk in chunks:
        text = chunk
        if is_skipping:
            line_end = text.find(b"\n")
            if line_end < 0:
                continue
            text, is_skipping = text[line_end:], False
        text = pending + text
        cut = text.rfind(b"\n") + 1
        body, pending = text[:cut], text[cut:]
        if len(pending) > MAXIMUM_RECORD:
            body += pending[:_KEPT_OF_LONG_LINE] + _TOO_LONG
            pending, is_skipping = b"", True
        if body:
            yield _cut_long_lines(body)
    if pending:
        yield _cut_long_lines(pending)


def _cut_long_lines(text: bytes) -> bytes:
    if len(text) <= MAXIMUM_RECORD:
        return text
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == 10) + 1
    if len(ends) and int(np.diff(ends, prepend=0).max()) <= MAXIMUM_RECORD:
        return text
    return b"".join(
        line if len(line) <= MAXIMUM_RECORD else line[:_KEPT_OF_LONG_LINE] + _TOO_LONG + b"\n"
        for line in text.splitlines(keepends=True)
    )


def _utf8_chunks(handle: BinaryIO, encoding: str, size: int, total: int | None = None) -> Iterator[bytes]:
    """The file as UTF-8, without a byte order mark; what is not of the encoding is marked."""
    decoder = codecs.getincrementaldecoder(encoding)("mark_undecodable")
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "ascii", "utf-8-sig")
    is_first, rest, taken = True, b"", 0
    while True:
        chunk = handle.read(size if total is None else min(size, total - taken))
        taken += len(chunk)
        is_last = not chunk
        if is_utf8:
            # Valid UTF-8 passes unchanged: decoding is only a test, and cheap.
            text = rest + chunk
            cut = len(text) if is_last else _whole_characters(text)
            text, rest = text[:cut], text[cut:]
            if not text.isascii():
                try:
                    text.decode("utf-8")
                except UnicodeDecodeError:
                    text = text.decode("utf-8", errors="mark_undecodable").encode()
        else:
            text = decoder.decode(chunk, final=is_last).encode("utf-8", errors="replace")
        if is_first and text:
            text, is_first = text.removeprefix(codecs.BOM_UTF8), False
        if text:
            yield text
        if is_last:
            return


def _whole_characters(text: bytes) -> int:
    """Length of `text` without a character of UTF-8 that is cut at its end."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte < 0x80:
            return len(text)
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(text) - back if needed > back else len(text)
    return len(text)


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(
            "the file cannot be decompressed",
            where=str(path),
            found=str(error),
            valid="a whole gzip file",
            next_step="fetch the file again",
        ) from error


def _counts_differ(block: RecordBlock, found: str) -> UserError:
    last = block.first_record + len(block) - 1
    return UserError(
        "two ways of counting the records of a file do not agree, so nothing of it was landed",
        where=f"{block.path}, rows {block.first_record:,} to {last:,}, from line {block.first_line:,}",
        found=f"{len(block):,} records on the bytes, {found}",
        next_step="look at quotes and line ends there, and at `format` of the source in the mapping",
    )


def _spell(delimiter: str) -> str:
    return _CANDIDATE_DELIMITERS.get(delimiter, f"'{delimiter}'")
