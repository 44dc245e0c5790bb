"""Quarantined records come back, by a corrected mapping or repaired; and damaged files are accounted for."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_bank import FILES, MAPPING, SETTINGS, write_bank, write_data
from typer.testing import CliRunner

from dagster_project.cli import application
from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import LedgerEntry, in_force, read_ledger
from warehouse.quarantine import summarise
from warehouse.registration import register
from warehouse.replay import replay
from warehouse.sources.bank import load_bank

FAULTY = FILES | {
    "posting.csv": "posting_id,other_side,contract_id,booked_at,amount,why\n"
    "100,62220001,10,2021-03-02 09:00:00,50.00,S\n"
    '101,"6222,2",10,2021-03-02 09:00:00,1.234,S\n'
    "102,62220003,10,02.03.2021,7.00,S\n"
    "103,62220004,10,2021-03-02\n"
}


def standing(home: Home) -> list[LedgerEntry]:
    return [entry for entry in in_force(read_ledger(home.landing, "small")) if entry.source == "posting"]


def amounts(home: Home, bank_folder: Path, tmp_path: Path) -> list[tuple[str, str]]:
    bank = load_bank(bank_folder)
    (tmp_path / "w.duckdb").unlink(missing_ok=True)
    with open_warehouse(tmp_path / "w.duckdb", bank.settings.resources, tmp_path / "spill") as connection:
        register(connection, bank, home.landing, read_ledger(home.landing, "small"))
        return connection.execute(
            "select transaction_id, cast(amount as varchar) from raw.transactions order by all"
        ).fetchall()


@pytest.fixture
def quarantined(tmp_path: Path) -> tuple[Path, Home]:
    bank = write_bank(tmp_path / "bank", settings=SETTINGS.replace("0.5", "1"))
    home = Home(tmp_path / "home")
    land(load_bank(bank), write_data(tmp_path / "data", FAULTY), home)
    (entry,) = standing(home)
    assert (entry.rows_read, entry.rows_landed, entry.rows_quarantined) == (4, 1, 3)
    return bank, home


def test_a_corrected_mapping_lands_what_it_accepts_now_under_the_same_row(
    quarantined: tuple[Path, Home], tmp_path: Path
) -> None:
    bank, home = quarantined
    assert replay(load_bank(bank), home) == []
    write_bank(bank, MAPPING.replace('amount: {type: "DECIMAL(18,2)"}', 'amount: {type: "DECIMAL(18,3)"}'), SETTINGS)
    (result,) = replay(load_bank(bank), home)
    assert (result.entry.rows_read, result.entry.rows_landed, result.entry.rows_quarantined) == (3, 1, 2)
    table = pq.read_table(result.entry.parquet_path(home.landing))
    assert table["_source_row"].to_pylist() == [2]
    assert table["amount"].to_pylist() == ["1.234"]
    assert sum(group.rows for group in summarise(home) if group.source == "posting") == 2


def test_records_of_a_renamed_column_are_replayed_from_parquet_too(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        "file: posting.csv\n    format: {type: csv}", "file: p.parquet\n    format: {type: parquet}"
    ).replace('amount: {type: "DECIMAL(18,2)"}', 'amount: {type: "DECIMAL(18,2)", delivered_as: [amount_cny]}')
    columns = {name: ["1", "2"] for name in ("posting_id", "contract_id", "why", "other_side")}
    columns |= {"booked_at": ["2021-03-02 09:00:00"] * 2, "amount_cny": ["1.00", "1.234"]}
    data, home = write_data(tmp_path / "data"), Home(tmp_path / "home")
    pq.write_table(pa.table(columns), data / "p.parquet")
    settings = SETTINGS.replace("0.5", "1")
    land(load_bank(write_bank(tmp_path / "bank", mapping, settings)), data, home)
    bank = load_bank(
        write_bank(tmp_path / "bank", mapping.replace('DECIMAL(18,2)", del', 'DECIMAL(18,3)", del'), settings)
    )
    (result,) = replay(bank, home)
    table = pq.read_table(result.entry.parquet_path(home.landing))
    assert (table["_source_row"].to_pylist(), table["amount"].to_pylist()) == ([2], ["1.234"])


def test_the_delivery_that_is_listed_is_the_one_replay_takes_with_or_without_a_run_before(
    quarantined: tuple[Path, Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, home = quarantined
    monkeypatch.setenv("MAINBANK_HOME", str(home.root))
    monkeypatch.setenv("COLUMNS", "60")
    (entry,) = standing(home)
    listed = CliRunner().invoke(application, ["quarantine", "list"])
    assert entry.delivery_id in listed.output.split()
    refused = CliRunner().invoke(application, ["quarantine", "replay", entry.delivery_id])
    assert "--source BANK" in str(refused.exception)
    (bank / "mapping.yml").write_text(MAPPING.replace("DECIMAL(18,2)", "DECIMAL(18,3)"))
    outcome = CliRunner().invoke(application, ["quarantine", "replay", entry.delivery_id, "--source", str(bank)])
    assert outcome.exit_code == 0, outcome.output
    assert "row landed" in outcome.output


def test_repaired_rows_are_landed_and_the_others_stay(quarantined: tuple[Path, Home], tmp_path: Path) -> None:
    bank, home = quarantined
    (entry,) = standing(home)
    repairs = tmp_path / "repaired.jsonl"
    whole = {"posting_id": "103", "other_side": None, "contract_id": "10", "booked_at": "2021-03-02", "amount": "9"}
    lines = [{"source_row": 3, "booked_at": "2021-03-02 10:00:00"}, {"source_row": 4, **whole, "why": "S"}]
    repairs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (result,) = replay(load_bank(bank), home, entry.delivery_id, repaired=repairs)
    assert (result.entry.rows_landed, result.entry.rows_quarantined) == (2, 1)
    assert [row for row, _ in amounts(home, bank, tmp_path)] == ["100", "102", "103"]
    # The rest can be replayed in its turn, and what was landed stays.
    repairs.write_text(json.dumps({"source_row": 2, "amount": "1.23"}))
    (second,) = replay(load_bank(bank), home, result.entry.delivery_id, repaired=repairs)
    assert (second.entry.rows_landed, second.entry.rows_quarantined) == (1, 0)
    assert len(amounts(home, bank, tmp_path)) == 4
    assert summarise(home) == []


def test_a_file_delivered_again_takes_its_replayed_records_with_it(
    quarantined: tuple[Path, Home], tmp_path: Path
) -> None:
    bank, home = quarantined
    repairs = tmp_path / "repaired.jsonl"
    repairs.write_text(json.dumps({"source_row": 2, "amount": "1.23"}))
    (entry,) = standing(home)
    replay(load_bank(bank), home, entry.delivery_id, repaired=repairs)
    land(load_bank(bank), write_data(tmp_path / "data"), home)
    assert [row for row, _ in amounts(home, bank, tmp_path)] == ["100", "101"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"source_row": 99, "amount": "1"}', "not quarantined"),
        ('{"amount": "1"}', "cannot be read"),
        ("{", "cannot be read"),
        ('{"source_row": 2, "amonut": "1"}', "columns its source has not"),
    ],
)
def test_repairs_that_do_not_fit_are_refused_with_their_place(
    quarantined: tuple[Path, Home], tmp_path: Path, line: str, problem: str
) -> None:
    bank, home = quarantined
    (tmp_path / "repaired.jsonl").write_text(line)
    with pytest.raises(UserError, match=problem):
        replay(load_bank(bank), home, standing(home)[0].delivery_id, repaired=tmp_path / "repaired.jsonl")
    assert len(standing(home)) == 1


# --- 200 damaged files and mappings

HEADER = b"posting_id,contract_id,booked_at,amount,why,other_side\n"


def damaged(chance: random.Random) -> tuple[str, bytes]:
    """A file of postings with a damage, and its name."""
    rows = [
        b"%d,10,2021-03-02 09:00:00,%d.00,S,622200%d\n" % (n, n, n) for n in range(100, 100 + chance.randint(1, 40))
    ]
    text = HEADER + b"".join(rows)
    place = chance.randrange(len(HEADER), len(text))
    kinds = {
        "truncated": lambda: text[: chance.randrange(len(text))],
        "encoding": lambda: text[:place] + "王小明".encode("gbk") + text[place:],
        "binary": lambda: text[:place] + bytes(chance.randrange(256) for _ in range(50)) + text[place:],
        "empty": lambda: HEADER,
        "zero bytes": lambda: b"",
        "zeros inside": lambda: text[:place] + b"\0" * 7 + text[place:],
        "open quote": lambda: text[:place] + b'"' + text[place:],
        "quotes": lambda: text + b'"1","10","2021-03-02 09:00:00","1.00","S"\n"2,\n',
        "huge cell": lambda: text + b"1,10,2021-03-02 09:00:00,1.00,S," + b"x" * (10 << 20) + b"\n" + rows[0],
        "dates": lambda: text + b"1,10,02.03.2021,1.00,S,\n2,10,20210302,1.00,S,\n3,10,3/2/21,1.00,S,\n",
        "numbers": lambda: (
            text
            + b"".join(
                b"%d,10,2021-03-02 09:00:00,%s,S,\n" % (n, value)
                for n, value in enumerate((b"NaN", b"Infinity", b"-inf", b"1e400", b"9" * 40, b"0x10", b"1,5", b"--1"))
            )
        ),
        "ragged": lambda: text + b"1,2,3\n1,2,3,4,5,6,7,8,9\n,,,,,\n",
        "web page": lambda: b"<html><body>502 Bad Gateway</body></html>",
        "header twice": lambda: HEADER + text,
        "no header": lambda: text[len(HEADER) :],
        "bytes of a gzip": lambda: b"\x1f\x8b\x08\x00" + text,
        "utf-16": lambda: text.decode().encode("utf-16"),
        "carriage returns": lambda: text.replace(b"\n", b"\r"),
        "other delimiter": lambda: text.replace(b",", b";"),
        "bom": lambda: b"\xef\xbb\xbf" + text,
    }
    name = chance.choice(sorted(kinds))
    return name, kinds[name]()


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 10))])
def test_damaged_files_end_accounted_for_or_in_an_error_that_names_the_place(tmp_path: Path, seed: int) -> None:
    ends = {"landed": 0, "refused": 0}
    # A connection to a database and a vault take a tenth of a second each time: sixteen files are one landing each.
    for number in range(16):
        chance = random.Random(seed * 1000 + number)
        folder = tmp_path / str(number)
        name, content = damaged(chance)
        bank = load_bank(write_bank(folder / "bank"))
        data = write_data(folder / "data")
        (data / "posting.csv").write_bytes(content)
        home = Home(folder / "home")
        try:
            land(bank, data, home)
        except UserError as error:
            ends["refused"] += 1
            assert "posting.csv" in str(error), (name, str(error))  # noqa: PT017 - either end will do
            assert not standing(home), name
            assert not list((home.landing / "small" / "posting").glob("*.parquet")), name
            assert not list(home.root.rglob("*.tmp")), name
        else:
            ends["landed"] += 1
            (entry,) = standing(home)
            assert entry.rows_lost == 0, name
            landed = pq.read_table(entry.parquet_path(home.landing))
            assert landed.num_rows == entry.rows_landed, name
            good = sum(1 for line in content.splitlines() if line.startswith(b"1") and line.count(b",") == 5)
            assert entry.rows_read == landed.num_rows + entry.rows_quarantined, (name, good)
    assert all(ends.values()), ends


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 4))])
def test_damaged_mappings_and_parquet_end_in_an_error_that_names_the_place(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(10):
        text = MAPPING
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            text = chance.choice(
                [
                    text[:at] + chance.choice("{}[]:'\"\0\t~&*%@é王") + text[at:],
                    text[:at] + text[at + chance.randint(1, 30) :],
                    text[:at],
                    text[:at] + text[at : at + 40] * 2 + text[at + 40 :],
                ]
            )
        folder = write_bank(tmp_path / f"{number}", text)
        try:
            bank = load_bank(folder)
        except UserError as error:
            assert "mapping.yml" in str(error) or "bank.yml" in str(error), str(error)  # noqa: PT017
            continue
        try:
            land(bank, write_data(tmp_path / f"{number}" / "data"), Home(tmp_path / f"{number}" / "home"))
        except UserError as error:
            assert error.where, str(error)  # noqa: PT017


@pytest.mark.parametrize("number", range(10))
def test_a_damaged_parquet_file_is_refused_or_whole(tmp_path: Path, number: int) -> None:
    chance = random.Random(number)
    mapping = MAPPING.replace(
        "file: contract.csv\n    format: {type: csv}", "file: c.parquet\n    format: {type: parquet}"
    )
    data = write_data(tmp_path / "data")
    values = {name: ["1", "2", "3"] for name in ("contract_id", "person_id", "kind", "share_of")}
    pq.write_table(pa.table(values | {"opened_on": ["2020-01-01"] * 3}), data / "c.parquet")
    content = bytearray((data / "c.parquet").read_bytes())
    for _ in range(chance.randint(1, 5)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    (data / "c.parquet").write_bytes(bytes(content[: chance.choice((len(content), chance.randrange(len(content))))]))
    home = Home(tmp_path / "home")
    try:
        results = land(load_bank(write_bank(tmp_path / "bank", mapping)), data, home)
    except UserError as error:
        assert "c.parquet" in str(error)  # noqa: PT017
    else:
        assert all(result.entry.rows_lost == 0 for result in results)
