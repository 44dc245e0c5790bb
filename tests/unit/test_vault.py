"""Clear identifiers are inside the vault's walls and nowhere else; outside there are only keyed tokens."""

from __future__ import annotations

import hmac
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bank import FILES, MAPPING, SETTINGS, write_bank, write_data

from warehouse import vault
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import read_ledger
from warehouse.quarantine import summarise
from warehouse.sources.bank import load_bank

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


def test_another_key_gives_other_tokens(keyed: duckdb.DuckDBPyConnection) -> None:
    with duckdb.connect() as other:
        vault.use_key(other, bytes(32))
        other.execute("create table texts (text varchar)")
        assert in_sql(other, vault.token_expression("text"), "x") != in_sql(keyed, vault.token_expression("text"), "x")


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    key = vault.load_key(tmp_path / "vault")
    assert len(key) == 32
    assert vault.load_key(tmp_path / "vault") == key
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "vault" / "key").stat().st_mode) == 0o600


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    vault.load_key(tmp_path)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(UserError, match="mode 0644"):
        vault.load_key(tmp_path)


@pytest.mark.parametrize("text", ["", "qq", "zz" * 32, "ab" * 31])
def test_a_key_that_is_none_is_refused_without_being_shown(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(vault.KEY_VARIABLE, text)
    with pytest.raises(UserError, match="64 hexadecimal digits") as raised:
        vault.load_key(tmp_path)
    assert not text or text not in str(raised.value)


def test_the_key_of_the_environment_is_used_and_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(vault.KEY_VARIABLE, "0a" * 32)
    assert vault.load_key(tmp_path) == b"\x0a" * 32
    assert not (tmp_path / "key").exists()


@pytest.mark.parametrize("lose", ["another key", "the key file gone"])
def test_deliveries_of_two_keys_are_never_mixed(lose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, data, home = load_bank(write_bank(tmp_path / "bank")), write_data(tmp_path / "data"), Home(tmp_path / "home")
    land(bank, data, home)
    if lose == "another key":
        monkeypatch.setenv(vault.KEY_VARIABLE, "0a" * 32)
    else:
        (home.vault / "key").unlink()
    with pytest.raises(UserError, match="not the one earlier deliveries were landed with"):
        land(bank, data, home)


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
    inside = stores_with(CANARIES, home.root, ())
    assert set.union(*inside.values()) == set(CANARIES), "every canary was delivered, and kept where it may be"
    for path in inside:
        assert stat.S_IMODE((home.root / path).stat().st_mode) == 0o600
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
    kept = pq.read_table(vault.clear_values_path(home.vault, "small", entry.delivery_id)).to_pylist()
    assert [(row["source_row"], row["column"], row["value"]) for row in kept] == [
        (1, "full_name", "Zhang San"),
        (2, "full_name", "Li Si"),
    ]
    assert [(row["record_id"], row["token"]) for row in kept] == [
        (row["record_id"], row["full_name"]) for row in landed
    ]
