"""Clear identifiers are inside the vault's walls and nowhere else; outside there are only keyed tokens."""

from __future__ import annotations

import hmac
import json
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opened_vault import everything_inside, keys_of, plant_keys, restate, sealed_values
from small_bank import FILES, MAPPING, SETTINGS, write_bank, write_data

from dagster_project.cli import user_of_process
from warehouse import vault
from warehouse.contract.model import load_contract
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import LedgerEntry, read_ledger
from warehouse.quarantine import summarise
from warehouse.sources.bank import Bank, load_bank
from warehouse.vault import files as vault_files
from warehouse.vault import keys as vault_keys
from warehouse.vault import reading
from warehouse.vault.files import append_line, locked, read_lines
from warehouse.vault.tokens import normalised

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def keyed() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        vault.use_key(connection, KEY)
        connection.execute("create table texts (text varchar)")
        yield connection


def in_sql(connection: duckdb.DuckDBPyConnection, expression: str, text: str | None) -> str | None:
    connection.execute("delete from texts")
    connection.execute("insert into texts values (?)", [text])
    row = connection.execute(f"select {expression} from texts").fetchone()
    assert row is not None
    return row[0]


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200))
def test_a_token_is_the_hmac_that_python_computes(keyed: duckdb.DuckDBPyConnection, text: str) -> None:
    stripped = text.strip(vault.BLANKS)
    expected = hmac.new(KEY, f"value\x1f{stripped}".encode(), "sha256").hexdigest() if stripped else None
    assert in_sql(keyed, vault.token_expression("text"), text) == expected


def test_a_record_id_is_the_hmac_of_system_and_id(keyed: duckdb.DuckDBPyConnection) -> None:
    expected = hmac.new(KEY, b"record\x1fo'core\x1f4711", "sha256").hexdigest()
    assert in_sql(keyed, vault.record_id_expression("o'core", "text"), "4711") == expected
    assert in_sql(keyed, vault.record_id_expression("crm", "text"), "4711") != expected


def test_blanks_around_a_value_do_not_matter_and_no_value_has_no_token(keyed: duckdb.DuckDBPyConnection) -> None:
    token = vault.token_expression("text")
    assert in_sql(keyed, token, "\u3000张三\t ") == in_sql(keyed, token, "张三")
    assert in_sql(keyed, token, None) is None
    assert in_sql(keyed, token, "   ") is None


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.sampled_from(f"{vault.BLANKS}\u2003\x0b\x1fa张\U00020000"), max_size=12))
def test_a_value_is_normalised_alike_inside_and_outside_the_database(
    keyed: duckdb.DuckDBPyConnection, text: str
) -> None:
    expected = in_sql(keyed, vault.normalised_expression("text"), text)
    assert normalised(pa.array([text, None], pa.string())).to_pylist() == [expected, None]


def test_another_key_gives_other_tokens(keyed: duckdb.DuckDBPyConnection) -> None:
    with duckdb.connect() as other:
        vault.use_key(other, bytes(32))
        other.execute("create table texts (text varchar)")
        assert in_sql(other, vault.token_expression("text"), "x") != in_sql(keyed, vault.token_expression("text"), "x")


def test_the_keys_are_made_once_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    keys = vault.load_keys(tmp_path / "vault")
    assert len(keys.master) == len(keys.token) == 32
    assert vault.load_keys(tmp_path / "vault") == keys
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700
    for name in ("master.key", "token.key"):
        assert stat.S_IMODE((tmp_path / "vault" / name).stat().st_mode) == 0o600
    assert keys.token.hex() not in (tmp_path / "vault" / "token.key").read_text()


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    vault.load_keys(tmp_path)
    (tmp_path / "master.key").chmod(0o644)
    with pytest.raises(UserError, match="mode 0644"):
        vault.load_keys(tmp_path)


@pytest.mark.parametrize("text", ["", "qq", "zz" * 32, "ab" * 31])
def test_a_key_that_is_none_is_refused_without_being_shown(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(vault.KEY_VARIABLE, text)
    with pytest.raises(UserError, match="64 hexadecimal digits") as raised:
        vault.load_keys(tmp_path)
    assert not text or text not in str(raised.value)


def test_the_key_of_the_environment_is_used_and_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(vault.KEY_VARIABLE, "0a" * 32)
    assert vault.load_keys(tmp_path).master == b"\x0a" * 32
    assert not (tmp_path / "master.key").exists()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"0a" * 32 in path.read_bytes()]


def landed(tmp_path: Path) -> tuple[Bank, Path, Home]:
    bank, data, home = load_bank(write_bank(tmp_path / "bank")), write_data(tmp_path / "data"), Home(tmp_path / "home")
    land(bank, data, home)
    return bank, data, home


def test_tokens_of_two_keys_are_never_mixed(tmp_path: Path) -> None:
    bank, data, home = landed(tmp_path)
    plant_keys(home, (home.vault / "master.key").read_text().strip())
    with pytest.raises(UserError, match="not the one earlier deliveries were landed with"):
        land(bank, data, home)


@pytest.mark.parametrize(
    ("lose", "said"),
    [
        ("another key", "not the one it was sealed with"),
        ("master.key", "master key is not there"),
        ("token.key", "token key is not there"),
    ],
)
def test_a_wrong_or_missing_key_is_told_and_nothing_is_changed(
    lose: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, data, home = landed(tmp_path)
    if lose == "another key":
        monkeypatch.setenv(vault.KEY_VARIABLE, "0a" * 32)
    else:
        (home.vault / lose).rename(tmp_path / lose)
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file() and path.suffix != ".jsonl"}
    for act in (lambda: land(bank, data, home), lambda: vault.status(home, ""), lambda: read(home, ["ab" * 32])):
        with pytest.raises(UserError, match=said):
            act()
    after = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file() and path.suffix != ".jsonl"}
    assert after == before
    monkeypatch.delenv(vault.KEY_VARIABLE, raising=False)
    if (tmp_path / lose).exists():
        (tmp_path / lose).rename(home.vault / lose)
    assert not any(result.is_new for result in land(bank, data, home))


def read(home: Home, record_ids: list[str], **access: Any) -> list[vault.ClearValue]:
    allowed = {"purpose": "access_request", "role": "customer_request", "who": "tester"}
    return vault.read_clear(home, "small", record_ids, **allowed | access)


def person_rows(home: Home) -> tuple[LedgerEntry, list[dict[str, Any]]]:
    entry = next(entry for entry in read_ledger(home.landing, "small") if entry.source == "person")
    return entry, pq.read_table(entry.parquet_path(home.landing)).to_pylist()


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def flip(rows: list[dict[str, Any]], column: str) -> None:
    content = bytearray(rows[0][column])
    content[20] ^= 1
    rows[0][column] = bytes(content)


def swap(rows: list[dict[str, Any]], column: str) -> None:
    rows[0][column], rows[1][column] = rows[1][column], rows[0][column]


@pytest.mark.parametrize("change", [flip, swap])
@pytest.mark.parametrize("what", ["value", "key"])
def test_a_ciphertext_that_was_changed_or_moved_does_not_open(
    change: Callable[[list[dict[str, Any]], str], None], what: str, tmp_path: Path
) -> None:
    _, _, home = landed(tmp_path)
    entry, rows = person_rows(home)
    if what == "value":
        rewrite(vault.sealed_path(home.vault, "small", entry.delivery_id), lambda rows: change(rows, "sealed"))
    else:
        rewrite(vault.keys_path(home.vault, "small", entry.delivery_id), lambda rows: change(rows, "wrapped"))
    for said in ("size and sha256", "authentication of AES-GCM"):
        with pytest.raises(UserError, match="changed or damaged") as raised:
            read(home, [row["record_id"] for row in rows])
        assert said in str(raised.value)
        if what == "key":
            with pytest.raises(UserError, match="changed or damaged"):
                vault.status(home, "")
        restate(home, "small")


@pytest.mark.parametrize("what", ["values", "keys"])
def test_a_half_written_file_of_the_vault_is_told(what: str, tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    entry, rows = person_rows(home)
    place = vault.sealed_path if what == "values" else vault.keys_path
    path = place(home.vault, "small", entry.delivery_id)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="is not whole"):
        read(home, [row["record_id"] for row in rows])


def test_a_home_written_before_encryption_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    bank, data, home = landed(tmp_path)
    for path in home.vault.rglob("*"):
        if path.is_file() and (path.name.endswith(".key") or path.parent.name == "keys"):
            path.unlink()
    (home.vault / "key").write_text("0a" * 32)
    with pytest.raises(UserError, match="before clear values were encrypted") as refused:
        land(bank, data, home)
    told = str(refused.value)
    for part in (f"where: {home.vault / 'key'}", "found: the one key", "valid: a vault with token.key", "next: land"):
        assert part in told
    assert sorted(path.name for path in home.vault.glob("*.key")) == [], "no key is made beside it"


def test_a_record_known_already_keeps_its_key(tmp_path: Path) -> None:
    bank, data, home = landed(tmp_path)
    first = set(name_of_keys(home))
    later = FILES["person.csv"].replace("Zhang San", "Zhang Wu").replace("2,Li Si", "3,Wang Er")
    write_data(data, {"2024/01/31/person.csv": later})
    land(bank, data, home)
    records = [name for name in name_of_keys(home) if len(name) == 64]
    assert len(records) == len(set(records)) == 3
    assert first < set(name_of_keys(home))
    _, rows = person_rows(home)
    names = [(value.value, value.known_on.year) for value in read(home, [rows[0]["record_id"]])]
    assert names == [("Zhang San", 1900), ("Zhang Wu", 2024)]


def name_of_keys(home: Home) -> list[str]:
    return [name for path in home.vault.glob("*/keys/*.parquet") for name in pq.read_table(path)["name"].to_pylist()]


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ({"role": "clerk"}, "no role 'clerk'"),
        ({"purpose": "customer_contact"}, "none of role customer_request"),
        ({"authority": "court"}, "the purpose is not disclosure"),
        ({"role": "data_protection_officer", "purpose": "disclosure"}, "no authority 'None'"),
        ({"role": "data_protection_officer", "purpose": "disclosure", "authority": "other_bank"}, "no customer"),
        (
            {"role": "data_protection_officer", "purpose": "disclosure", "authority": "audit"},
            "corporate customers only; asked for: unknown",
        ),
    ],
)
def test_a_reading_that_is_not_allowed_is_refused_and_recorded(
    access: dict[str, str], said: str, tmp_path: Path
) -> None:
    _, _, home = landed(tmp_path)
    _, rows = person_rows(home)
    with pytest.raises(UserError, match=said):
        read(home, [rows[0]["record_id"]], **access)
    (line,) = (home.vault / "access.jsonl").read_text().splitlines()
    assert (json.loads(line)["is_allowed"], json.loads(line)["who"]) == (False, "tester")
    assert said in json.loads(line)["reason"]


def test_an_allowed_reading_is_recorded_before_it_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, home = landed(tmp_path)
    _, rows = person_rows(home)
    court = {"role": "data_protection_officer", "purpose": "disclosure", "authority": "court"}
    (value,) = read(home, [rows[0]["record_id"]], **court)
    assert (value.column, value.value, value.source) == ("full_name", "Zhang San", "person")
    (line,) = map(json.loads, (home.vault / "access.jsonl").read_text().splitlines())
    assert line["records"] == [rows[0]["record_id"]]
    assert (line["who"], line["purpose"], line["authority"], line["is_allowed"]) == (
        "tester",
        "disclosure",
        "court",
        True,
    )
    assert stat.S_IMODE((home.vault / "access.jsonl").stat().st_mode) == 0o600
    assert "Zhang San" not in json.dumps(line)
    monkeypatch.setattr(reading, "append_line", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        read(home, [rows[0]["record_id"]])


@pytest.mark.parametrize(
    ("readers", "said"),
    [
        ("somebody,customer_request,,", "not named for role"),
        ("tester,worklist,,", "not named for role"),
        ("tester,customer_request,2020-01-01,2024-01-01", "has ended"),
        ("tester,customer_request,2030-01-01,", "not begun"),
        ("tester,customer_request,2020-01-01,2024-06-01", None),
    ],
)
def test_who_left_reads_nothing(readers: str, said: str | None, tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    _, rows = person_rows(home)
    (home.vault / "readers.csv").write_text(f"who,role,from_on,left_on\n{readers}\n")
    if said is None:
        assert read(home, [rows[0]["record_id"]], on=date(2024, 3, 1))
        return
    with pytest.raises(UserError, match=said):
        read(home, [rows[0]["record_id"]], on=date(2024, 3, 1))


def test_values_of_rows_without_a_record_are_found_by_their_tokens(tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    entry = next(entry for entry in read_ledger(home.landing, "small") if entry.source == "posting")
    token = pq.read_table(entry.parquet_path(home.landing))["other_side"][0].as_py()
    (value,) = read(home, [], tokens={entry.delivery_id: frozenset({token})})
    assert (value.column, value.value, value.record_id) == ("other_side", "62220001", None)


@pytest.mark.parametrize(
    ("value", "class_", "shown"),
    [
        ("张三丰", "direct_identifier", "张*"),
        ("13812345678", "direct_identifier", "138****5678"),
        ("+86 138-1234-5678", "direct_identifier", "+86****5678"),
        ("11010519491231002X", "direct_identifier", "110****002X"),
        ("a@b.cn", "direct_identifier", "a*"),
        ("7062131234", "direct_identifier", "7*"),
        ("19790213", "quasi_identifier", "1*"),
        ("50000.00", "sensitive", "5*"),
        ("calls at night", "free_text", "c*"),
        ("VYBER", "none", "VYBER"),
        ("", "free_text", "*"),
    ],
)
def test_masks_keep_what_a_clerk_needs_to_find_the_row(value: str, class_: str, shown: str) -> None:
    assert vault.mask(value, class_) == shown
    assert vault.mask(None, class_) is None


NAMES = [f"Kanarienvogel{n:03}" for n in range(25)] + [f"金丝雀{chr(0x4E00 + n)}" for n in range(25)]
PHONES = [f"1399{n:07}" for n in range(7_000_000, 7_000_050)]
CANARIES = NAMES + PHONES


def land_with_canaries(tmp_path: Path) -> tuple[Home, str]:
    """A bank whose every hiding place holds somebody; all that was said about it."""
    mapping = MAPPING.replace(
        "      initial: {",
        "      again: {expression: concat(full_name), personal_data: direct_identifier}\n      initial: {",
    )
    people, orders = [], []
    for n, (name, phone) in enumerate(zip(NAMES, PHONES, strict=True)):
        place = n % 5
        row = [str(n + 10), f'"{name}"', "M", "1000.00", "2020-01-05", "1", phone]
        if place == 1:  # in a malformed record
            row.append("one field too many")
        elif place == 2:  # in a column that was moved by one
            row[3], row[6] = f"tel {phone}", "x"
        elif place == 3:  # where a date should be, and where a number should be
            row[4], row[5] = f'"{name}"', phone
        elif place == 4:  # behind a quote that is never closed
            row[1] = f'"{name}'
        people.append(",".join(row))
        orders.append(f"{n + 500},10,2021-03-02 09:00:00,1.00,{phone if place == 1 else 'S'},{phone}")
    files = FILES | {
        "person.csv": "person_id,full_name,sex,income,joined_on,branch_id,hotline\n" + "\n".join(people) + "\n",
        "posting.csv": FILES["posting.csv"] + "\n".join(orders) + "\n",
    }
    mapping = mapping.replace("      why: {}", "      why: {values: [S, F]}")
    home = Home(tmp_path / "home")
    data = write_data(tmp_path / "data", files)
    said: list[str] = []
    banks = [
        load_bank(
            write_bank(tmp_path / share, mapping, SETTINGS.replace("maximum_share: 0.5", f"maximum_share: {share}"))
        )
        for share in ("0", "1")
    ]
    with pytest.raises(UserError, match="too many faulty records") as raised:
        land(banks[0], data, home, said.append)
    said.append(str(raised.value))
    land(banks[1], data, home, said.append)
    said += [str(group) for group in summarise(home)]
    said += [str(entry) for entry in read_ledger(home.landing, "small")]
    return home, "\n".join(said)


def stores_with(canaries: list[str], folder: Path, walls: tuple[str, ...]) -> dict[str, set[str]]:
    """Files below a folder that hold a canary: in their bytes, or once decoded."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.split("/")[0] in walls:
            continue
        content = path.read_bytes()
        decoded = content.decode("utf-8", errors="ignore") + content.decode("utf-16-le", errors="ignore")
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            decoded += str(table.schema.metadata) + json.dumps(table.to_pylist(), default=str, ensure_ascii=False)
        elif path.suffix == ".json":
            decoded += json.dumps(json.loads(content), ensure_ascii=False)
        hits = {canary for canary in canaries if canary in decoded}
        if hits:
            found[name] = hits
    return found


def test_canaries_are_found_nowhere_outside_the_walls(tmp_path: Path) -> None:
    home, said = land_with_canaries(tmp_path)
    assert stores_with(CANARIES, home.root, ("vault", "quarantine")) == {}
    assert [canary for canary in CANARIES if canary in said] == []
    assert stores_with(CANARIES, home.root, ()) == {}, "inside the walls they are encrypted"
    kept = everything_inside(home)
    assert [canary for canary in CANARIES if canary not in kept] == [], "every canary was delivered, and kept"
    for path in (*home.vault.rglob("*"), *home.quarantine.rglob("*")):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for folder in (home.vault, home.quarantine, home.vault / "small", home.quarantine / "small"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["parquet", "json", "log"])
def test_the_search_for_canaries_finds_a_planted_leak(kind: str, tmp_path: Path) -> None:
    leak = tmp_path / f"landing/leak.{kind}"
    leak.parent.mkdir(parents=True)
    canary = NAMES[-1]
    if kind == "parquet":
        pq.write_table(pa.table({"a": [canary] * 1000}), leak, compression="zstd")
    elif kind == "json":
        leak.write_text(json.dumps({"a": canary}))
    else:
        leak.write_text(f"row 17: {canary}")
    assert stores_with(CANARIES, tmp_path, ("vault", "quarantine")) == {f"landing/leak.{kind}": {canary}}


def test_the_vault_gives_the_value_back_by_its_token(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    results = land(load_bank(write_bank(tmp_path / "bank")), write_data(tmp_path / "data"), home)
    entry = next(result.entry for result in results if result.entry.source == "person")
    landed = pq.read_table(entry.parquet_path(home.landing)).to_pylist()
    kept = sealed_values(home, "small", entry.delivery_id)
    assert kept == [
        (landed[0]["record_id"], 1, "full_name", "Zhang San"),
        (landed[1]["record_id"], 2, "full_name", "Li Si"),
    ]
    key = keys_of(home).token
    for row, (_, _, _, value) in zip(landed, kept, strict=True):
        assert row["full_name"] == hmac.new(key, f"value\x1f{value}".encode(), "sha256").hexdigest()


TORN = [b'{"action": "hold", "ba', '{"reason": "张'.encode()[:-1], b"17", b"{"]


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_last_line_does_not_swallow_the_next_one(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "legal_holds.jsonl"
    append_line(path, {"n": 1, "reason": "two\u2028lines"})
    with path.open("ab") as handle:
        handle.write(torn)
    assert [line["n"] for line in read_lines(path)] == [1]
    append_line(path, {"n": 2})
    append_line(path, {"n": 3})
    assert [line["n"] for line in read_lines(path)] == [1, 2, 3]
    assert path.read_bytes().endswith(b"\n")


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "legal_holds.jsonl"
    path.write_text('{"n": 1}')
    append_line(path, {"n": 2})
    assert [line["n"] for line in read_lines(path)] == [1, 2]


def test_a_damaged_line_in_the_middle_is_told(tmp_path: Path) -> None:
    path = tmp_path / "legal_holds.jsonl"
    path.write_text('{"n": 1}\n{"n"\n{"n": 3}\n')
    with pytest.raises(UserError, match="line 2"):
        read_lines(path)
    append_line(path, {"n": 4})
    assert path.read_text().startswith('{"n": 1}\n{"n"\n'), "what is no last line is left as it is"


def test_who_reads_is_the_account_of_the_process_not_a_name_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody_else")
    assert user_of_process() == pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_017)
    assert user_of_process() == "uid 4000000017"


def forget(home: Home, what: str) -> Path:
    """Take something of the delivery of persons out of the vault; the file it was in."""
    entry, _ = person_rows(home)
    path = home.vault / "small" / "manifests" / f"{entry.delivery_id}.json"
    if "manifest" not in what:
        place = vault.sealed_path if "value" in what else vault.keys_path
        path = place(home.vault, "small", entry.delivery_id)
    if what == "a forged manifest":
        stated = json.loads(path.read_text())
        path.write_text(json.dumps(stated | {"files": {}}))
    elif what.startswith("a row"):
        rewrite(path, lambda rows: rows.pop())
    else:
        path.unlink()
    return path


@pytest.mark.parametrize(
    "what",
    ["the values", "the keys", "a row of values", "a row of keys", "the manifest", "a forged manifest"],
)
def test_what_goes_from_the_vault_does_not_go_unnoticed(what: str, tmp_path: Path) -> None:
    bank, data, home = landed(tmp_path)
    _, rows = person_rows(home)
    path = forget(home, what)
    later = FILES["person.csv"].replace("Zhang San", "Zhang Wu")
    write_data(data, {"2024/01/31/person.csv": later})
    before = name_of_keys(home)
    for act in (
        lambda: vault.status(home, ""),
        lambda: read(home, [rows[0]["record_id"]]),
        lambda: land(bank, data, home),
    ):
        with pytest.raises(UserError, match="restore it from a backup") as raised:
            act()
        assert f"where: {path}" in str(raised.value)
    assert name_of_keys(home) == before, "no second key is made for a record that had one"


def test_a_quarantine_that_goes_is_told(tmp_path: Path) -> None:
    home, _ = land_with_canaries(tmp_path)
    path = next((home.quarantine / "small").glob("*.parquet"))
    path.unlink()
    with pytest.raises(UserError, match="is gone") as raised:
        vault.status(home, "")
    assert str(path) in str(raised.value)


def test_a_change_that_keeps_the_size_is_told_by_status_and_whenever_the_file_is_read(tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    entry, rows = person_rows(home)
    for place in (vault.keys_path, vault.sealed_path):
        path = place(home.vault, "small", entry.delivery_id)
        content = path.read_bytes()
        path.write_bytes(bytes([*content[:40], content[40] ^ 1, *content[41:]]))
        for act in (lambda: vault.status(home, ""), lambda: read(home, [rows[0]["record_id"]])):
            with pytest.raises(UserError, match="not what was written") as raised:
                act()
            assert f"where: {path}" in str(raised.value)
        path.write_bytes(content)
    assert vault.status(home, "").records == 2


def test_a_page_of_keys_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    bank, data, home = landed(tmp_path)
    entry, rows = person_rows(home)
    path = vault.keys_path(home.vault, "small", entry.delivery_id)
    content = path.read_bytes()
    path.write_bytes(content[:10] + b"\xff" * 40 + content[50:])
    restate(home, "small")
    write_data(data, {"2024/01/31/person.csv": FILES["person.csv"]})
    for act in (
        lambda: vault.status(home, ""),
        lambda: read(home, [rows[0]["record_id"]]),
        lambda: land(bank, data, home),
        lambda: vault.begin_rotation(home.vault),
    ):
        with pytest.raises(UserError, match=r"keys cannot be read|keys is not whole"):
            act()


@pytest.mark.parametrize("length", [0, 5, 27])
@pytest.mark.parametrize("what", ["token", "key", "value"])
def test_a_ciphertext_that_is_too_short_is_told(what: str, length: int, tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    entry, rows = person_rows(home)

    def shorten(column: str) -> Callable[[list[dict[str, Any]]], None]:
        return lambda rows: rows[0].update({column: bytes(length)})

    if what == "token":
        stated = json.loads((home.vault / "token.key").read_text())
        (home.vault / "token.key").write_text(json.dumps(stated | {"wrapped": "00" * length}))
    else:
        place, column = (vault.keys_path, "wrapped") if what == "key" else (vault.sealed_path, "sealed")
        rewrite(place(home.vault, "small", entry.delivery_id), shorten(column))
        restate(home, "small")
    with pytest.raises(UserError, match="changed or damaged"):
        read(home, [row["record_id"] for row in rows])
    if what != "value":
        with pytest.raises(UserError, match="changed or damaged"):
            vault.status(home, "")


ID_NUMBER, PHONE = "11010519491231002X", "13812345678"


def test_a_role_reads_the_columns_it_is_for_and_no_other(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        "      sex: {personal_data",
        "      card: {personal_data: direct_identifier}\n      phone: {personal_data: direct_identifier}\n"
        "      remark: {personal_data: free_text}\n      sex: {personal_data",
    ).replace("        name: full_name\n", "        name: full_name\n        id_number: card\n        mobile: Phone\n")
    bank = load_bank(write_bank(tmp_path / "bank", mapping))
    people = (
        "person_id,full_name,card,phone,remark,sex,income,joined_on,branch_id,hotline\n"
        f"1,Zhang San,{ID_NUMBER},{PHONE},calls at night,M,1000.00,2020-01-05,1,4711\n"
    )
    data, home = write_data(tmp_path / "data", FILES | {"person.csv": people}), Home(tmp_path / "home")
    land(bank, data, home)
    _, rows = person_rows(home)
    posting = next(entry for entry in read_ledger(home.landing, "small") if entry.source == "posting")
    other = pq.read_table(posting.parquet_path(home.landing))["other_side"][0].as_py()
    tokens = {posting.delivery_id: frozenset({other})}

    def columns(role: str, purpose: str) -> set[str]:
        access = {"role": role, "purpose": purpose, "mapping": bank.mapping, "tokens": tokens}
        return {value.column for value in read(home, [rows[0]["record_id"]], **access)}

    assert columns("worklist", "customer_contact") == {"full_name", "phone"}
    assert columns("identity", "identity_resolution") == {"full_name", "phone", "card"}
    everything = {"full_name", "phone", "card", "remark", "hotline", "other_side"}
    assert columns("customer_request", "access_request") == everything
    with pytest.raises(UserError, match="only where the bank's mapping is known"):
        read(home, [rows[0]["record_id"]], role="worklist", purpose="customer_contact")
    assert [line["is_allowed"] for line in log_of(home)] == [True, True, True, False]


def test_all_values_are_given_only_to_a_role_limited_to_columns_and_only_of_these(tmp_path: Path) -> None:
    bank = load_bank(write_bank(tmp_path / "bank", MAPPING))
    data, home = write_data(tmp_path / "data", FILES), Home(tmp_path / "home")
    land(bank, data, home)

    def values(**access: str) -> set[str]:
        batches = vault.read_sealed_values(home, "small", bank.mapping, **{"who": "tester"} | access)
        return {value for batch in batches for value in batch.to_pylist()}

    entry, rows = person_rows(home)
    names = {v.value for row in rows for v in read(home, [row["record_id"]]) if v.column == "full_name"}
    assert len(names) > 1
    assert values(role="identity", purpose="identity_resolution") == names
    (line,) = [line for line in log_of(home) if line["role"] == "identity"]
    assert (line["records"], line["is_allowed"]) == (["all records of person"], True)
    with pytest.raises(UserError, match="refused, and the attempt was recorded"):
        values(role="identity", purpose="customer_contact")
    assert log_of(home)[-1]["is_allowed"] is False
    with pytest.raises(UserError, match="limited to columns"):
        values(role="data_protection_officer", purpose="incident")
    (home.vault / "readers.csv").write_text("who,role,from_on,left_on\nsomebody,identity,,\n")
    with pytest.raises(UserError, match="not named for role identity"):
        values(role="identity", purpose="identity_resolution")
    (home.vault / "readers.csv").unlink()
    victim = home.vault / "small" / f"{entry.delivery_id}.parquet"
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="not whole, or not what was written"):
        values(role="identity", purpose="identity_resolution")


def test_every_role_says_which_columns_it_may_read() -> None:
    contract = load_contract()
    for role in reading.access_rules()["roles"].values():
        for name in [] if role["columns"] == "all" else role["columns"]:
            table, column = name.split(".")
            found = contract.tables[table].column(column)
            assert found is not None
            assert found.is_identifying


def log_of(home: Home) -> list[dict[str, Any]]:
    return read_lines(home.vault / "access.jsonl")


def test_what_serves_one_purpose_is_refused_for_any_other(tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    _, rows = person_rows(home)
    officer = {"role": "data_protection_officer", "only_for": "access_request"}
    assert read(home, [rows[0]["record_id"]], purpose="access_request", **officer)
    with pytest.raises(UserError, match="for purpose access_request only"):
        read(home, [rows[0]["record_id"]], purpose="erasure_check", **officer)
    assert [line["is_allowed"] for line in log_of(home)] == [True, False]


HEADER = "who,role,from_on,left_on\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ((HEADER + "tester,customer_request,01.01.2020,\n").encode(), "row 2, column from_on"),
        ((HEADER + "tester,customer_request,,never\n").encode(), "row 2, column left_on"),
        ((HEADER + "x,worklist,,\n\ntester,customer_request\n").encode(), "row 3"),
        (HEADER.replace(",", ";").encode() + b"tester;customer_request;;\n", "another separator"),
        (b"", "line 1"),
        ((HEADER + "张三,customer_request,,\n").encode("gb18030"), "UnicodeDecodeError"),
    ],
)
def test_readers_that_cannot_be_read_let_nobody_in_and_the_attempt_is_recorded(
    content: bytes, said: str, tmp_path: Path
) -> None:
    _, _, home = landed(tmp_path)
    _, rows = person_rows(home)
    (home.vault / "readers.csv").write_bytes(content)
    with pytest.raises(UserError, match=said) as raised:
        read(home, [rows[0]["record_id"]])
    assert str(home.vault / "readers.csv") in str(raised.value)
    (line,) = log_of(home)
    assert (line["is_allowed"], line["records"]) == (False, [rows[0]["record_id"]])
    assert "readers.csv cannot be read" in line["reason"]


def test_readers_saved_by_a_spreadsheet_with_a_mark_in_front_count(tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    _, rows = person_rows(home)
    (home.vault / "readers.csv").write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"tester,customer_request,,\r\n")
    assert read(home, [rows[0]["record_id"]])


@pytest.mark.parametrize("record", ["abc", "AB" * 32, "Zhang San", "ab" * 32 + "\n", ""])
def test_what_is_no_record_id_is_refused_and_goes_into_no_log(record: str, tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    with pytest.raises(UserError, match="64 hexadecimal digits in lower case") as raised:
        read(home, [record])
    assert raised.value.exit_code == 2
    (line,) = log_of(home)
    assert (line["is_allowed"], line["records"]) == (False, [])
    if record:
        assert record not in str(raised.value)
        assert record not in json.dumps(line)


def test_a_home_without_a_vault_is_told_and_none_is_made(tmp_path: Path) -> None:
    for root in (tmp_path / "mistyped", tmp_path):
        with pytest.raises(UserError, match="no vault in this home"):
            vault.status(Home(root), "")
        with pytest.raises(UserError, match="no vault in this home"):
            vault.begin_rotation(root / "vault")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_wrapped_by_a_master_key_that_is_no_longer_in_force(tmp_path: Path) -> None:
    _, _, home = landed(tmp_path)
    ring = vault.KeyRing(keys_of(home), home.vault, "small")
    vault.begin_rotation(home.vault)
    with pytest.raises(UserError, match="not the one it was sealed with"):
        ring.wrapped({"ab" * 32: bytes(32)})


def test_a_rotation_just_before_a_landing_holds_the_vault_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, data, home = landed(tmp_path)
    write_data(data, {"2024/01/31/person.csv": FILES["person.csv"].replace("2,Li Si", "3,Wang Er")})
    stated: list[tuple[str, str]] = []

    def rotate_meanwhile(vault_root: Path) -> None:
        if not stated:
            stated.append(vault.begin_rotation(vault_root))

    monkeypatch.setattr(vault_keys, "sweep_spill", rotate_meanwhile)
    land(bank, data, home)
    assert keys_of(home).master_id == stated[0][1]
    assert vault.status(home, "").records == 3


@pytest.mark.parametrize("act", ["land", "read", "status"])
def test_what_a_killed_process_spilled_is_swept_unless_another_is_at_work(act: str, tmp_path: Path) -> None:
    bank, data, home = landed(tmp_path)
    _, rows = person_rows(home)
    left = home.vault / "spill" / "0123" / "duckdb_temp_storage_S32K-0.tmp"
    acts: dict[str, Callable[[], Any]] = {
        "land": lambda: land(bank, data, home),
        "read": lambda: read(home, [rows[0]["record_id"]]),
        "status": lambda: vault.status(home, ""),
    }
    left.parent.mkdir(parents=True)
    left.write_text("Zhang San")
    (home.vault / "spill" / "duckdb_temp_storage_S32K-1.tmp").write_text("Zhang San")
    with locked(home.vault, exclusively=False):
        acts[act]()
        assert left.exists(), "it may be the spill of whoever holds the vault"
    acts[act]()
    assert list((home.vault / "spill").iterdir()) == []


def test_databases_that_see_clear_values_spill_inside_the_vault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[str | None] = []
    honest = duckdb.connect

    def connect(path: str = ":memory:", **options: Any) -> duckdb.DuckDBPyConnection:
        if path == ":memory:":
            folders.append(options.get("config", {}).get("temp_directory"))
        return honest(path, **options)

    bank, data = load_bank(write_bank(tmp_path / "bank")), write_data(tmp_path / "data")
    home = Home(tmp_path / "home")
    monkeypatch.setattr(duckdb, "connect", connect)
    land(bank, data, home)
    entry = next(entry for entry in read_ledger(home.landing, "small") if entry.source == "posting")
    token = pq.read_table(entry.parquet_path(home.landing))["other_side"][0].as_py()
    assert read(home, [], tokens={entry.delivery_id: frozenset({token})})
    assert len(folders) >= 4
    assert {str(Path(str(folder)).parent) for folder in folders} == {str(home.vault / vault_files.SPILL)}
    assert len(set(folders)) == len(folders), "each has a folder of its own"
