"""An erased person is nowhere and does not come back; everybody else is as before."""

from __future__ import annotations

import fcntl
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from opened_vault import contents, everything_inside, plant_keys, quarantined, sealed_values
from power_cut import PowerCut, cut_power_at
from small_bank import FILES, MAPPING, write_bank, write_data

from dagster_project.lib.model_store import ModelStore, Promotion
from warehouse import erasure, identity
from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.export import export_person
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import LedgerEntry, read_ledger
from warehouse.quarantine import quarantine_path
from warehouse.registration import register
from warehouse.replay import replay
from warehouse.sources.bank import Bank, load_bank
from warehouse.tombstones import tombstones
from warehouse.vault import keys_path, sealed_path, status
from warehouse.vault.files import write_new

AS_OF = date(2026, 1, 1)
WITH_TEXT = (
    MAPPING.replace(
        "      branch_id: {type: BIGINT}\n    derive:",
        "      branch_id: {type: BIGINT}\n      remark: {personal_data: free_text}\n    derive:",
    )
    .replace(
        "codes:\n",
        """\
  holder:
    source_system: core
    file: holder.csv
    format: {type: csv}
    key: [contract_id, person_id]
    record: person_id
    columns:
      contract_id: {type: BIGINT, required: true}
      person_id: {type: BIGINT, required: true}
codes:
""",
    )
    .replace(
        "  transactions:\n    - from",
        """\
  account_holders:
    - from: holder
      columns:
        account_id: contract_id
        customer_source_system: "'core'"
        source_customer_id: person_id
        role: "'owner'"
  transactions:
    - from""",
    )
)
#: Persons 1 to 4; 3 has a faulty record and two malformed ones, 4 holds the account of 2 too.
PEOPLE = {
    "person.csv": (
        "person_id,full_name,sex,income,joined_on,branch_id,remark\n"
        "1,Zhang Sanfeng,M,1000.00,2020-01-05,1,calls at night\n"
        "2,Li Sisi,F,2000.00,2020-02-05,2,\n"
        "10003,Wang Wuwu,M,1000.00,2020-03-05,1,pays late\n"
        "4,Zhao Liuliu,F,1000.00,2020-04-05,1,\n"
        "10003,Wang Wuwu,M,much,2020-03-05,1,\n"
        "10003,Wang W\n"
        "5,Nobody,F,1.00\n"
        "6;Wang Wuwu;F;pays late\n"
    ),
    "contract.csv": (
        "contract_id,person_id,kind,opened_on,share_of\n10,1,D,2021-03-01,2\n11,2,T,2021-04-01,4\n"
        "12,1,D,2021-03-05,2\n13,10003,D,2021-03-05,2\n"
    ),
    "holder.csv": "contract_id,person_id\n10,1\n11,2\n11,4\n12,1\n13,10003\n",
    "posting.csv": (
        "posting_id,contract_id,booked_at,amount,why,other_side\n"
        "100,10,2021-03-02 09:00:00,50.00,S,62220001\n"
        "101,11,2021-04-02 23:30:00,-1.00,F,62220002\n"
        "102,12,2021-04-02 23:30:00,-1.00,F,62220002\n"
        "103,12,2021-04-02 23:30:00,-1.00,F,62220003\n"
        "104,13,2021-04-03 23:30:00,-1.00,F,62220004\n"
    ),
}


class Installation:
    """A home with a landed and registered bank."""

    def __init__(self, folder: Path, files: dict[str, str] = FILES | PEOPLE) -> None:
        self.folder = folder
        write_bank(folder / "bank", WITH_TEXT)
        write_data(folder / "data", files)
        self.home = plant_keys(Home(folder / "home"), "1f" * 32)

    @property
    def bank(self) -> Bank:
        return load_bank(self.folder / "bank")

    def run(self) -> Installation:
        land(self.bank, self.folder / "data", self.home)
        with open_warehouse(self.home.warehouse, self.bank.settings.resources, self.home.temporary) as connection:
            ledger = read_ledger(self.home.landing, "small")
            register(connection, self.bank, self.home.landing, ledger, tombstones(self.home, "small"))
            identity.assign(connection, self.home, self.bank)
        return self

    def erase(self, *customers: str, **options: Any) -> dict[str, Any]:
        persons = [self.person(customer) for customer in customers]
        return erasure.erase(self.home, self.bank, persons, reason="asked", who="tester", **options)

    def person(self, customer: str) -> str:
        (row,) = self.query(f"select person_id from raw.person_records where source_customer_id = '{customer}'")
        return str(row[0])

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def entry(self, source: str) -> LedgerEntry:
        return next(entry for entry in read_ledger(self.home.landing, "small") if entry.source == source)

    def raw(self) -> dict[str, list[tuple[Any, ...]]]:
        """Rows of schema raw, but for what depends on the file they came in and on the clock."""
        tables = [
            row[0] for row in self.query("select table_name from duckdb_tables() where schema_name = 'raw' order by 1")
        ]
        own = ("delivery_id", "landed_at", "source_row", "batch", "row_hash")
        found = {}
        for table in tables:
            names = self.query(f"select column_name from duckdb_columns() where table_name = '{table}' order by 1")
            kept = ", ".join(name for (name,) in names if name not in own)
            found[table] = sorted(map(repr, self.query(f"select {kept} from raw.{table}")))
        return found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("standing")).run()


@pytest.fixture
def bank(standing: Installation, tmp_path: Path) -> Installation:
    shutil.copytree(standing.folder, tmp_path / "copy")
    copy = Installation.__new__(Installation)
    copy.folder, copy.home = tmp_path / "copy", Home(tmp_path / "copy" / "home")
    return copy


def without(*customers: str) -> dict[str, str]:
    """The delivered files as if some persons had never been there."""
    accounts = {"1": ("10", "12"), "2": ("11",), "10003": ("13",)}
    owned = {account for customer in customers for account in accounts.get(customer, ())}
    files = dict(FILES | PEOPLE)
    for name, position, gone in (
        ("person.csv", 0, set(customers)),
        ("contract.csv", 0, owned),
        ("holder.csv", 0, owned),
        ("holder.csv", 1, set(customers)),
        ("posting.csv", 1, owned),
    ):
        lines = files[name].splitlines(keepends=True)
        kept = [line for line in lines[1:] if len(f := line.strip().split(",")) <= position or f[position] not in gone]
        files[name] = lines[0] + "".join(kept)
    return files


def test_afterwards_the_warehouse_is_that_of_a_bank_that_never_had_them(bank: Installation, tmp_path: Path) -> None:
    bank.erase("1", "10003")
    assert not bank.home.warehouse.exists(), "deleted rows would stay in its bytes"
    other = Installation(tmp_path / "other", without("1", "10003")).run()
    assert bank.run().raw() == other.raw()
    assert len(bank.raw()["transactions"]) == 1


def test_nothing_of_the_person_is_left_in_the_vault_and_everything_of_the_others(bank: Installation) -> None:
    before = {
        source: sealed_values(bank.home, "small", bank.entry(source).delivery_id) for source in ("person", "posting")
    }
    assert "Zhang Sanfeng" in everything_inside(bank.home)
    records = json.loads(json.dumps(bank.erase("1")["record_ids"]))
    inside = everything_inside(bank.home)
    for gone in ("Zhang Sanfeng", "calls at night", "62220001", "62220003"):
        assert gone not in inside
    after = {
        source: sealed_values(bank.home, "small", bank.entry(source).delivery_id) for source in ("person", "posting")
    }
    assert after["person"] == [row for row in before["person"] if row[0] not in records]
    assert sorted(row[3] for row in after["posting"]) == ["62220002", "62220004"]
    for path in bank.home.root.rglob("*.parquet"):
        ids = {"record_id", "name"} & set(pq.read_schema(path).names)
        assert not {value for name in ids for value in pq.read_table(path)[name].to_pylist()} & set(records), path


def test_every_record_is_still_accounted_for(bank: Installation) -> None:
    before = {entry.delivery_id: entry for entry in read_ledger(bank.home.landing, "small")}
    certificate = bank.erase("1", "10003")
    for entry in read_ledger(bank.home.landing, "small"):
        assert entry.rows_lost == 0
        assert pq.read_metadata(entry.parquet_path(bank.home.landing)).num_rows == entry.rows_landed
        assert entry.rows_read == before[entry.delivery_id].rows_read
    assert bank.entry("person").rows_erased == 5
    assert bank.entry("posting").rows_erased == 4
    assert bank.entry("branch").erasures == ()
    for line in certificate["deliveries"]:
        entry = next(e for e in read_ledger(bank.home.landing, "small") if e.delivery_id == line["delivery_id"])
        assert line["sha256_before"] == before[entry.delivery_id].parquet_sha256
        assert line["sha256_after"] == entry.parquet_sha256
        assert entry.erasures == (certificate["erasure_id"],)
    (stated,) = map(json.loads, (bank.home.decisions / "erasures.jsonl").read_text().splitlines())
    assert stated == certificate
    assert (stated["reason"], stated["who"]) == ("asked", "tester")


def test_quarantined_records_of_the_person_go_and_those_of_others_stay(bank: Installation) -> None:
    delivery = bank.entry("person").delivery_id
    assert [row["line"] for row in quarantined(bank.home, "small", delivery)] == [6, 7, 8, 9]
    bank.erase("10003")
    (left,) = quarantined(bank.home, "small", delivery)
    assert (left["line"], left["raw"]) == (8, "5,Nobody,F,1.00")
    assert bank.entry("person").rows_quarantined == 1


def test_who_was_erased_does_not_come_back(bank: Installation) -> None:
    bank.erase("1")
    expected = bank.run().raw()
    assert not any(result.is_new for result in land(bank.bank, bank.folder / "data", bank.home))
    # A landed file that is lost is landed again from the very file that held the person.
    rows = {source: bank.entry(source).rows_landed for source in ("person", "posting")}
    for source in rows:
        bank.entry(source).parquet_path(bank.home.landing).unlink()
    bank.home.warehouse.unlink()
    assert bank.run().raw() == expected
    assert {source: bank.entry(source).rows_landed for source in rows} == rows
    # A later delivery that brings the person, an account and a posting again.
    later = {f"2024/01/31/{name}": text for name, text in PEOPLE.items()}
    write_data(bank.folder / "data", later)
    bank.run()
    assert bank.query("select count(*) from raw.person_records where source_customer_id = '1'") == [(0,)]
    assert bank.query("select count(*) from raw.transactions where account_id in ('10', '12')") == [(0,)]
    assert bank.query("select count(*) from raw.accounts where account_id in ('10', '12')") == [(0,)]
    assert "Zhang Sanfeng" not in everything_inside(bank.home)


def test_a_new_dump_brings_nothing_of_an_erased_person_into_landing_or_the_vault(bank: Installation) -> None:
    bank.erase("1")
    bank.run()
    # Another file: other rows, one of them a posting that was never delivered before, of an account of the person.
    later = PEOPLE["posting.csv"] + "105,12,2021-05-02 09:00:00,-7.00,F,62229999\n106,13,2021-05-02 09:00:00,1.00,S,\n"
    write_data(
        bank.folder / "data", {"2024/01/31/posting.csv": later, "2024/01/31/contract.csv": PEOPLE["contract.csv"]}
    )
    bank.run()
    entry = next(e for e in read_ledger(bank.home.landing, "small") if e.file == "2024/01/31/posting.csv")
    assert (entry.rows_read, entry.rows_landed, entry.rows_erased) == (7, 3, 4)
    assert sorted(pq.read_table(entry.parquet_path(bank.home.landing))["contract_id"].to_pylist()) == ["11", "13", "13"]
    inside = everything_inside(bank.home)
    assert not [value for value in ("62220001", "62220003", "62229999") if value in inside]
    contract = next(e for e in read_ledger(bank.home.landing, "small") if e.file == "2024/01/31/contract.csv")
    assert contract.rows_erased == 2


def repaired(bank: Installation, number: int, customer: str) -> Path:
    """A quarantined record put right, as one of a customer."""
    path = bank.folder / "repaired.jsonl"
    values = {"person_id": customer, "full_name": "Ma Liu", "sex": "F", "income": "1.00"}
    later = {"joined_on": "2020-03-05", "branch_id": "1", "remark": None}
    path.write_text(json.dumps({"source_row": number, **values, **later}))
    return path


def test_a_replayed_record_goes_from_where_it_was_landed_and_from_the_quarantine_it_came_from(
    bank: Installation,
) -> None:
    delivery = bank.entry("person").delivery_id
    (number,) = [row["source_row"] for row in quarantined(bank.home, "small", delivery) if "Nobody" in row["raw"]]
    # Nothing in the record as it was delivered says that it is this customer's.
    (result,) = replay(bank.bank, bank.home, delivery, repaired=repaired(bank, number, "10003"))
    assert result.entry.rows_landed == 1
    bank.run().erase("10003")
    assert not quarantine_path(bank.home.quarantine, "small", delivery).exists()
    left = [entry for entry in read_ledger(bank.home.landing, "small") if entry.source == "person"]
    assert [entry.rows_quarantined for entry in left] == [0, 0]
    assert pq.read_table(result.entry.parquet_path(bank.home.landing)).num_rows == 0
    assert not [value for value in ("Nobody", "Ma Liu", "Wang") if value in everything_inside(bank.home)]
    assert all(entry.rows_lost == 0 for entry in left)
    status(bank.home, "")


def test_a_replay_lands_nothing_of_who_was_erased(bank: Installation) -> None:
    bank.erase("1")
    bank.run()
    delivery = bank.entry("person").delivery_id
    (number,) = [row["source_row"] for row in quarantined(bank.home, "small", delivery) if "Nobody" in row["raw"]]
    (result,) = replay(bank.bank, bank.home, delivery, repaired=repaired(bank, number, "1"))
    assert (result.entry.rows_landed, result.entry.rows_erased) == (0, 1)
    assert "Ma Liu" not in everything_inside(bank.home)
    status(bank.home, "")


def test_what_is_not_what_its_manifest_says_is_not_replayed(bank: Installation) -> None:
    path = quarantine_path(bank.home.quarantine, "small", bank.entry("person").delivery_id)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="not what was written"):
        replay(bank.bank, bank.home)


def test_a_quarantined_record_of_somebody_else_is_neither_exported_nor_erased(tmp_path: Path) -> None:
    people = PEOPLE["person.csv"].replace("calls at night", "13800001111")
    # One names person 2 and cannot be read for its income; one names nobody.
    people += "2,Li Sisi,F,lots,2020-02-05,2,asks for 13800001111\n;Chen Chen,F;13800001111\n"
    people = people.replace("10003,Wang W\n5,Nobody,F,1.00\n", "")
    bank = Installation(tmp_path, FILES | PEOPLE | {"person.csv": people}).run()
    held = export_person(
        bank.home, bank.bank, bank.person("1"), purpose="access_request", role="customer_request", who="t"
    )
    assert held["quarantined"] == []
    assert [place["file"] for place in held["perhaps"]] == ["person.csv"]
    assert not [name for name in ("Li Sisi", "Chen Chen") if name in json.dumps(held, ensure_ascii=False, default=str)]
    bank.erase("1")
    left = [row["raw"] for row in quarantined(bank.home, "small", bank.entry("person").delivery_id)]
    assert [text for text in left if "Li Sisi" in text]
    assert not [text for text in left if "Chen Chen" in text]


def test_a_hold_on_a_joint_holder_blocks(bank: Installation) -> None:
    other = bank.person("4")
    erasure.set_hold(bank.home, bank.bank, other, reason="case 7", who="court", is_release=False)
    assert erasure.plan(bank.home, bank.bank, [bank.person("2")], who="t").holds == {other: "case 7"}
    with pytest.raises(UserError, match="legal hold blocks"):
        bank.erase("2", with_shared=True)


def test_who_has_no_such_role_neither_erases_nor_holds_nor_releases(bank: Installation) -> None:
    person = bank.person("1")
    erasure.set_hold(bank.home, bank.bank, person, reason="case 7", who="officer", is_release=False)
    (bank.home.vault / "readers.csv").write_text("who,role,from_on,left_on\nofficer,data_protection_officer,,\n")
    before = contents(bank.home)
    for attempt in (
        lambda: erasure.erase(bank.home, bank.bank, [person], reason="asked", who="stranger"),
        lambda: erasure.plan(bank.home, bank.bank, [person], who="stranger"),
        lambda: erasure.set_hold(bank.home, bank.bank, person, reason="over", who="stranger", is_release=True),
        lambda: erasure.set_hold(bank.home, bank.bank, person, reason="case 8", who="stranger", is_release=False),
    ):
        with pytest.raises(UserError, match="refused, and the attempt was recorded"):
            attempt()
    after = contents(bank.home)
    assert {path for path in after if after[path] != before.get(path)} <= {"tmp/run.lock"}
    lines = [json.loads(line) for line in (bank.home.vault / "access.jsonl").read_text().splitlines()]
    assert [line["is_allowed"] for line in lines if line["who"] == "stranger"] == [False] * 4
    erasure.set_hold(bank.home, bank.bank, person, reason="over", who="officer", is_release=True)


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_decision_needs_a_reason_and_a_person(bank: Installation, reason: str) -> None:
    with pytest.raises(UserError, match="needs a reason"):
        erasure.set_hold(bank.home, bank.bank, bank.person("1"), reason=reason, who="t", is_release=False)
    with pytest.raises(UserError, match="needs a reason"):
        erasure.erase(bank.home, bank.bank, [bank.person("1")], reason=reason, who="t")
    with pytest.raises(UserError, match="no such person"):
        erasure.set_hold(bank.home, bank.bank, "NOSUCH", reason="typo", who="t", is_release=False)
    assert erasure.legal_holds(bank.home, "small") == {}


def test_an_erasure_that_was_killed_is_completed_by_asking_for_it_again(
    bank: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = bank.person("1")
    with monkeypatch.context() as patched:
        cut_power_at(40, patched)
        with pytest.raises(PowerCut):
            bank.erase("1")
    certificate = erasure.erase(bank.home, bank.bank, [person], reason="asked", who="tester")
    assert certificate["person_ids"] == [person]
    assert certificate["certificate"]
    assert not bank.home.warehouse.exists()


def test_a_file_of_clear_values_is_never_half_written_or_put_in_the_place_of_another(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none" / "out.json"):
        with pytest.raises(UserError, match="cannot be written"):
            write_new(place, b"clear")
    out = tmp_path / "out.json"
    write_new(out, b"clear")
    assert (out.stat().st_mode & 0o777, out.read_bytes()) == (0o600, b"clear")
    with pytest.raises(UserError, match="never replaced"):
        write_new(out, b"other")
    assert list(tmp_path.iterdir()) == [out]


def test_a_delivery_that_was_replaced_goes_with_the_person(bank: Installation) -> None:
    first = bank.entry("person").delivery_id
    write_data(bank.folder / "data", {"person.csv": PEOPLE["person.csv"].replace("calls at night", "calls at noon")})
    bank.run()
    certificate = bank.erase("1")
    assert certificate["superseded"] == [first]
    assert not sealed_path(bank.home.vault, "small", first).exists()
    assert not list(bank.home.landing.rglob(f"{first}.parquet"))
    bank.run()
    assert "Zhang" not in everything_inside(bank.home)


@pytest.mark.parametrize(
    ("obstacle", "said"),
    [
        ("hold", "legal hold blocks"),
        ("shared", "shared with others"),
        ("run", "a run is working"),
        ("unknown", "no such person"),
        ("stale", "does not hold everything that was landed"),
    ],
)
def test_what_stands_against_an_erasure_is_told_and_nothing_is_changed(
    obstacle: str, said: str, bank: Installation
) -> None:
    customer = "2" if obstacle == "shared" else "1"
    person = "0123456789abcdef" if obstacle == "unknown" else bank.person(customer)
    lock = (bank.home.temporary / "run.lock").open("a+")
    if obstacle == "hold":
        erasure.set_hold(bank.home, bank.bank, person, reason="case 7", who="court", is_release=False)
    elif obstacle == "run":
        fcntl.flock(lock, fcntl.LOCK_EX)
    elif obstacle == "stale":
        write_data(bank.folder / "data", {"2024/01/31/posting.csv": PEOPLE["posting.csv"]})
        land(bank.bank, bank.folder / "data", bank.home)
    before = contents(bank.home) if obstacle != "hold" else None
    with pytest.raises(UserError, match=said):
        erasure.erase(bank.home, bank.bank, [person], reason="asked", who="tester")
    lock.close()
    if before is not None:
        assert contents(bank.home) == before | {"vault/access.jsonl": None} or contents(bank.home) == before
        return
    erasure.set_hold(bank.home, bank.bank, person, reason="over", who="court", is_release=True)
    assert bank.erase("1")


def test_shared_accounts_go_when_it_is_said(bank: Installation) -> None:
    bank.erase("2", with_shared=True)
    bank.run()
    assert bank.query("select count(*) from raw.account_holders where account_id = '11'") == [(0,)]
    assert bank.query("select count(*) from raw.person_records") == [(3,)]


def test_a_plan_says_what_would_go_and_changes_nothing(bank: Installation) -> None:
    before = contents(bank.home)
    planned = erasure.plan(bank.home, bank.bank, [bank.person("1")], who="tester")
    after = contents(bank.home)
    assert {k for k in after if after[k] != before.get(k)} <= {"vault/access.jsonl"}
    assert sum(map(len, planned.rows.landed.values())) == 8
    assert len(planned.rows.accounts) == 2
    assert planned.holds == {}


def test_models_fitted_with_the_person_are_told_and_the_rows_beside_them_go(bank: Installation) -> None:
    person, other = bank.person("1"), bank.person("2")

    def save(folder: Path) -> str:
        (folder / "m1.skops").write_bytes(b"weights")
        return "m1"

    def promote(of_bank: str) -> Promotion:
        assigned = pd.DataFrame({"person_id": [person, other], "segment_id": [1, 2]})
        segments = pd.DataFrame({"segment_id": [1, 2]})
        frames = {"segment_assignment": assigned, "segment": segments, "model_run": pd.DataFrame({"run_id": ["r1"]})}
        return ModelStore(bank.home, of_bank).promote("segmentation", "r1", AS_OF, lambda _: frames, save)

    promoted, elsewhere = promote("small"), promote("other")
    certificate = bank.erase("1")
    assert certificate["models"] == [f"models/small/segmentation/{AS_OF}_m1"]
    assert ModelStore(bank.home, "small").in_force("segmentation", AS_OF) == promoted
    assert promoted.frames()["segment_assignment"]["person_id"].tolist() == [other]
    assert len(promoted.frames()["segment"]) == 2
    assert promoted.model_file.read_bytes() == b"weights"
    assert len(elsewhere.frames()["segment_assignment"]) == 2, "another bank's persons are not asked"


@pytest.mark.slow
def test_the_power_may_fail_at_any_step_of_an_erasure(
    standing: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(name: str) -> Installation:
        shutil.copytree(standing.folder, tmp_path / name)
        made = Installation.__new__(Installation)
        made.folder, made.home = tmp_path / name, Home(tmp_path / name / "home")
        return made

    persons = [standing.person("1"), standing.person("10003")]
    monkeypatch.setattr(erasure, "_now", lambda: "2026-01-01T00:00:00+00:00")
    whole = copy("whole")
    with monkeypatch.context() as patched:
        done = cut_power_at(-1, patched)
        erasure.erase(whole.home, whole.bank, persons, reason="asked", who="tester")
    assert len(done) > 20
    certificate = (whole.home.decisions / "erasures.jsonl").read_text()
    expected = {k: v for k, v in contents(whole.run().home).items() if "warehouse" not in k and "history" not in k}
    # Every third step: the others fail beside them, in the same file.
    for step in range(1, len(done) + 1, 3):
        cut = copy(f"step{step}")
        with monkeypatch.context() as patched:
            cut_power_at(step, patched)
            with pytest.raises(PowerCut):
                erasure.erase(cut.home, cut.bank, persons, reason="asked", who="tester")
        cut.run()
        if not (cut.home.decisions / "erasures.jsonl").exists():
            cut.erase("1", "10003")
            cut.run()
        assert (cut.home.decisions / "erasures.jsonl").read_text() == certificate, step
        found = {k: v for k, v in contents(cut.home).items() if "warehouse" not in k and "history" not in k}
        assert found == expected, step
        status(cut.home, "")
        shutil.rmtree(cut.folder)


def test_the_export_gives_all_that_is_held_readable_and_is_recorded(bank: Installation) -> None:
    person = bank.person("1")
    held = export_person(bank.home, bank.bank, person, purpose="access_request", role="customer_request", who="tester")
    assert {value["value"] for value in held["identifiers"]} == {"Zhang Sanfeng", "calls at night"}
    assert [row["full_name"] for row in held["delivered"]["person"]] == ["Zhang Sanfeng"]
    assert [row["other_side"] for row in held["delivered"]["posting"]] == ["62220001", "62220002", "62220003"]
    assert {name: len(rows) for name, rows in held["delivered"].items()} == {
        "person": 1,
        "contract": 2,
        "holder": 2,
        "posting": 3,
    }
    json.dumps(held)
    (*_, line) = map(json.loads, (bank.home.vault / "access.jsonl").read_text().splitlines())
    assert (line["purpose"], line["is_allowed"]) == ("access_request", True)
    with pytest.raises(UserError, match="refused"):
        export_person(bank.home, bank.bank, person, purpose="curiosity", role="customer_request", who="tester")


def test_a_hold_behind_a_torn_line_still_blocks_erasure(bank: Installation) -> None:
    person = bank.person("1")
    bank.home.decisions.mkdir(exist_ok=True)
    (bank.home.decisions / "legal_holds.jsonl").write_text('{"action": "hold", "ba')
    erasure.set_hold(bank.home, bank.bank, person, reason="case 7", who="court", is_release=False)
    with pytest.raises(UserError, match="legal hold blocks"):
        erasure.erase(bank.home, bank.bank, [person], reason="asked", who="tester")


def test_a_certificate_behind_a_torn_line_still_keeps_the_person_out(bank: Installation) -> None:
    bank.home.decisions.mkdir(exist_ok=True)
    (bank.home.decisions / "erasures.jsonl").write_text('{"accounts": ["01')
    certificate = bank.erase("1")
    assert tombstones(bank.home, "small").record_ids == frozenset(certificate["record_ids"])


@pytest.mark.parametrize("what", ["values", "keys", "quarantine", "gone"])
def test_a_damaged_file_is_told_before_an_erasure_is_stated(what: str, bank: Installation) -> None:
    delivery = bank.entry("person").delivery_id
    path = {
        "keys": keys_path(bank.home.vault, "small", delivery),
        "quarantine": bank.home.quarantine / "small" / f"{delivery}.parquet",
    }.get(what, sealed_path(bank.home.vault, "small", delivery))
    content, before = path.read_bytes(), contents(bank.home)
    if what == "gone":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"not whole|is gone") as raised:
        bank.erase("1")
    assert str(path) in str(raised.value)
    assert not (bank.home.vault / "erasure.json").exists()
    path.write_bytes(content)
    assert contents(bank.home) == before | {"tmp/run.lock": b""}
    assert bank.erase("1")


def test_after_an_erasure_every_file_is_what_its_manifest_says(bank: Installation) -> None:
    before = status(bank.home, "")
    write_data(bank.folder / "data", {"person.csv": PEOPLE["person.csv"].replace("calls at night", "calls at noon")})
    bank.run()
    bank.erase("1", "10003")
    after = status(bank.home, "")
    assert (before.records, after.records) == (4, 2)
    path = sealed_path(bank.home.vault, "small", bank.entry("person").delivery_id)
    path.unlink()
    with pytest.raises(UserError, match="is gone"):
        status(bank.home, "")


def test_values_are_sealed_anew_inside_the_vault(bank: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[str | None] = []
    honest = duckdb.connect

    def connect(path: str = ":memory:", **options: Any) -> duckdb.DuckDBPyConnection:
        if path == ":memory:":
            folders.append(options.get("config", {}).get("temp_directory"))
        return honest(path, **options)

    persons, loaded = [bank.person("1")], bank.bank
    monkeypatch.setattr(duckdb, "connect", connect)
    erasure.erase(bank.home, loaded, persons, reason="asked", who="tester")
    # Rows are found by pseudonyms, outside the walls.
    inside = [Path(str(folder)).parent for folder in folders if str(folder) != str(bank.home.temporary)]
    assert len(inside) > 2
    assert set(inside) == {bank.home.vault / "spill"}


def test_what_a_killed_process_spilled_is_swept_by_an_erasure(bank: Installation) -> None:
    left = bank.home.vault / "spill" / "0123" / "duckdb_temp_storage_S32K-0.tmp"
    left.parent.mkdir(parents=True)
    left.write_text("Zhang Sanfeng")
    bank.erase("1")
    assert not left.exists()
