"""Search every kind of store below a folder by what it holds once decoded, and by its raw bytes.

Of a picture its bytes and texts are searched, not what is drawn.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq

_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")
_ENTITY = re.compile(r"&#(?:x([0-9a-fA-F]{1,5})|([0-9]{1,6}));")
_EMBEDDED = re.compile(r";base64,([A-Za-z0-9+/]+)")


def texts_of(content: bytes) -> Iterator[str]:
    """What bytes may say: as UTF-8 and UTF-16, escapes of JSON and HTML resolved, embedded files and arrays decoded."""
    text = content.decode("utf-8", errors="ignore")
    yield text
    if content.startswith(b"\x93NUMPY"):  # its texts are UTF-32
        yield str(np.load(io.BytesIO(content), allow_pickle=False).tolist())
    for embedded in _EMBEDDED.findall(text):
        whole = embedded[:-1] if len(embedded) % 4 == 1 else embedded  # a page of a database may cut it anywhere
        yield from texts_of(base64.b64decode(whole + "=" * (-len(whole) % 4)))
    yield content.decode("utf-16-le", errors="ignore")
    if "\\u" in text:
        yield _UNICODE.sub(lambda found: chr(int(found[1], 16)), text.replace("\\\\u", "\\u"))
    if "&#" in text:
        yield _ENTITY.sub(lambda found: chr(int(found[1], 16) if found[1] else int(found[2])), text)


def decoded(path: Path) -> Iterator[str]:
    """Everything a file says, by its kind."""
    content = path.read_bytes()
    yield from texts_of(content)
    if content.startswith(b"PK"):  # XLSX, skops
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                yield member
                yield from texts_of(archive.read(member))
    elif content.startswith(b"PAR1"):
        table = pq.read_table(path)
        yield str(table.schema.metadata)
        yield json.dumps(table.to_pylist(), default=str, ensure_ascii=False)
    elif content.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
            for (name,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
                for row in connection.execute(f'select * from "{name}"'):
                    for value in row:
                        yield from texts_of(value) if isinstance(value, bytes) else texts_of(str(value).encode())
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            for schema, name in connection.execute("select schema_name, table_name from duckdb_tables()").fetchall():
                rows = connection.execute(f'select t::varchar from "{schema}"."{name}" as t').fetchall()
                yield "\n".join(str(row[0]) for row in rows)


def stores_with(wanted: list[str], folder: Path, walls: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """Files below a folder that hold one of some texts, outside the folders named; links are not followed."""
    pattern = re.compile("|".join(re.escape(text) for text in sorted(wanted, key=len, reverse=True)))
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_symlink() or not path.is_file() or place.parts[0] in walls:
            continue
        if any((folder / Path(*place.parts[:depth])).is_symlink() for depth in range(1, len(place.parts))):
            continue
        hits = {hit for text in decoded(path) for hit in pattern.findall(text)}
        hits |= set(pattern.findall(place.as_posix()))
        if hits:
            found[place.as_posix()] = hits
    return found
