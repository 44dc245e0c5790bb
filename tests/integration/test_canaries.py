"""500 planted identifiers go the whole road and are found nowhere outside the vault; who is erased is found nowhere.

The bank is the sample bank with customers and complaints as CSV, so that records can be malformed too.
"""

import base64
import io
import json
import shutil
import sqlite3
import sys
import zipfile
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "unit"))
from opened_vault import everything_inside  # noqa: E402
from stores import stores_with  # noqa: E402

from warehouse.home import Home  # noqa: E402
from warehouse.sample_bank.generate import generate  # noqa: E402

#: Enough for segments to be published: so a model and its rows are searched, and in force when persons are erased.
CUSTOMERS = 900
KINDS = 125
NAMES = [f"金丝雀{chr(0x4E00 + n)}{chr(0x5E00 + n)}" for n in range(KINDS)]
NUMBERS = [f"99{n:06}19700101777{n % 10}" for n in range(KINDS)]
PHONES = [f"1779{n:07}" for n in range(7_000_000, 7_000_000 + KINDS)]
MAILS = [f"kanarienvogel{n:04}@example.invalid" for n in range(KINDS)]
CANARIES = [*NAMES, *NUMBERS, *PHONES, *MAILS]
#: Canaries by place: in columns, in free text, in malformed records, in codes nobody mapped.
IN_COLUMNS, IN_TEXT, MALFORMED = 75, 100, 115
CUSTOMER = "KANARI{:05}"


def canary(n: int) -> tuple[str, str, str, str]:
    return NAMES[n], NUMBERS[n], PHONES[n], MAILS[n]


def write_mapping(folder: Path) -> Path:
    """The sample bank's mapping, with two sources as CSV and a code list that is checked at landing."""
    shutil.copytree(ROOT / "warehouse" / "banks" / "sample", folder)
    mapping, settings = folder / "mapping.yml", folder / "bank.yml"
    text = mapping.read_text()
    csv = 'format: {type: csv, null_values: [""]}'
    for name in ("customers", "complaints"):
        head, rest = text.split(f"  {name}:\n    source_system", 1)
        lines = rest.split("\n")
        lines[1], lines[2] = f"    file: {name}.csv", f"    {csv}"
        text = f"{head}  {name}:\n    source_system" + "\n".join(lines)
    text = text.replace(
        "gender: {type: VARCHAR, personal_data: quasi_identifier}",
        "gender: {type: VARCHAR, values: [female, male, other], personal_data: quasi_identifier}",
    ).replace("bank: sample", "bank: canaries")
    mapping.write_text(text)
    settings.write_text(settings.read_text().replace("maximum_share: 0.01", "maximum_share: 0.5"))
    return folder


def write_deliveries(folder: Path) -> Path:
    """The sample bank, with customers, complaints and records that hold canaries."""
    generate(folder, customers=CUSTOMERS, months=24, seed=1)
    with duckdb.connect() as connection:
        for name in ("customers", "complaints"):
            connection.execute(f"create table {name} as from '{folder}/{name}/*.parquet'")
        columns = [row[0] for row in connection.execute("describe customers").fetchall()]
        connection.execute("create table model as from customers where party_type = 'personal' limit 1")
        for n in range(IN_TEXT if IN_TEXT < KINDS else KINDS):
            name, number, phone, mail = canary(n)
            if n < IN_COLUMNS:
                connection.execute(
                    "insert into customers select m.* replace (? as source_customer_id, ? as name, ? as id_number, "
                    "? as mobile, ? as email) from model as m",
                    [CUSTOMER.format(n), name, number, phone, mail],
                )
            else:
                said = f"{name} ({number}) asks to be called at {phone} or {mail}"
                connection.execute(
                    "insert into complaints select c.* replace (? as complaint_id, ? as source_customer_id, ? as text) "
                    "from complaints as c limit 1",
                    [f"KC{n}", CUSTOMER.format(n - IN_COLUMNS), said],
                )
        for table in ("customers", "complaints"):
            connection.execute(f"copy {table} to '{folder}/{table}.csv' (header)")
            shutil.rmtree(folder / table)
        (values,) = connection.execute("select * from model").fetchall()
    with (folder / "customers.csv").open("a") as handle:
        for n in range(IN_TEXT, KINDS):
            name, number, phone, mail = canary(n)
            row = ["" if value is None else str(value) for value in values]
            row[columns.index("source_customer_id")] = CUSTOMER.format(n)
            row[columns.index("id_number")], row[columns.index("mobile")] = number, phone
            row[columns.index("email")] = mail
            if n < MALFORMED:
                row[columns.index("name")] = name
                row.append("one field too many")
            else:
                row[columns.index("gender")] = name
            handle.write(",".join(row) + "\n")
    return folder


@pytest.fixture(scope="module")
def run_with_canaries(tmp_path_factory, mainbank):
    folder = tmp_path_factory.mktemp("canaries")
    arguments = (
        "run",
        "--source",
        str(write_mapping(folder / "bank")),
        "--data",
        str(write_deliveries(folder / "data")),
    )
    outcome = mainbank(folder / "home", *arguments)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    (folder / "home" / "said.log").write_text(outcome.stdout + outcome.stderr)
    return Home(folder / "home"), arguments


@pytest.mark.slow
def test_500_canaries_are_found_nowhere_outside_the_vault(run_with_canaries, mainbank):
    home, _ = run_with_canaries
    for command in (("quarantine", "list"), ("vault", "status")):
        outcome = mainbank(home.root, *command)
        assert outcome.returncode == 0, outcome.stderr
        (home.root / f"{command[0]}.log").write_text(outcome.stdout + outcome.stderr)
    assert len(set(CANARIES)) == 500
    assert stores_with(CANARIES, home.root) == {}, "encrypted inside the walls, absent outside"
    kinds = {path.suffix for path in home.root.rglob("*") if path.is_file()}
    assert {".parquet", ".duckdb", ".db", ".json", ".log", ".skops"} <= kinds
    inside = everything_inside(home)
    assert [text for text in CANARIES if text not in inside] == [], "every canary was delivered, and kept"


LEAKS = ("parquet", "duckdb", "xlsx", "skops", "array.skops", "log", "sqlite", "plot.sqlite", "html", "json", "bytes")


def plant(kind: str, folder: Path, text: str) -> None:
    """Leave a text in a store of some kind, as a careless program would."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"leak.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"a": ["x", text] * 1000}), path, compression="zstd")
    elif kind == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute("create schema s; create table s.t as select ? as a from range(5000)", [text])
            connection.execute("checkpoint")
    elif kind in ("xlsx", "skops"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/sharedStrings.xml" if kind == "xlsx" else "schema.json", json.dumps({"v": text}))
    elif kind == "array.skops":
        array = io.BytesIO()
        np.save(array, np.array(["x", text]))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("000001.npy", array.getvalue())
    elif kind in ("sqlite", "plot.sqlite"):
        picture = base64.b64encode(text.encode()).decode()
        said = json.dumps({"message": text if kind == "sqlite" else f"![plot](data:image/png;base64,{picture})"})
        with sqlite3.connect(path) as connection:
            connection.execute("create table event_logs (event text)")
            connection.execute("insert into event_logs values (?)", [said])
    elif kind == "html":
        path.write_text(f"<script>var spec = {json.dumps({'v': text})}</script>")
    elif kind == "json":
        path.write_text(json.dumps({"v": text}))
    elif kind == "log":
        path.write_text(f"row 17: {text}")
    else:
        path.write_bytes(b"\0\1" + text.encode("utf-16-le"))


@pytest.mark.parametrize("kind", LEAKS)
@pytest.mark.parametrize("text", [NAMES[-1], PHONES[-1]])
def test_the_search_finds_a_leak_planted_in_each_kind_of_store(kind, text, tmp_path):
    plant(kind, tmp_path / "dagster", text)
    assert stores_with(CANARIES, tmp_path) == {f"dagster/leak.{kind}": {text}}


@pytest.mark.slow
def test_who_was_erased_is_found_in_no_store_once_old_releases_are_pruned(run_with_canaries, mainbank):
    home, arguments = run_with_canaries
    gone = range(5)
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        persons = dict(
            connection.execute(
                "select source_customer_id, person_id from raw.person_records where source_customer_id like 'KANARI%'"
            ).fetchall()
        )
    ids = [CUSTOMER.format(n) for n in gone]
    for command in (
        ("erase", *(persons[name] for name in ids), "--reason", "asked"),
        arguments,
        ("release", "prune", "--kept", "1"),
    ):
        outcome = mainbank(home.root, *command)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    inside = everything_inside(home)
    erased = [text for n in gone for text in (*canary(n), *canary(n + IN_COLUMNS))]
    assert [text for text in erased if text in inside] == []
    assert all(text in inside for text in canary(10))
    assert stores_with(CANARIES, home.root) == {}
    found = stores_with([*ids, *(persons[name] for name in ids)], home.root, ("decisions",))
    assert found == {}
    assert stores_with([persons[ids[0]]], home.root) == {"decisions/erasures.jsonl": {persons[ids[0]]}}
    with duckdb.connect(str(home.current / "mainbank.duckdb"), read_only=True) as connection:
        lost = connection.execute(
            "select count(*), sum(rows_erased) from meta.delivery "
            "where rows_read = rows_landed + rows_quarantined + rows_filtered + rows_erased"
        ).fetchall()
        assert lost[0][1] == 10
        assert connection.execute("select count(*) from meta.delivery").fetchall()[0][0] == lost[0][0]
