"""The master key is exchanged whole, wherever the power fails meanwhile; no token changes and no value is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opened_vault import contents, keys_of, restate
from power_cut import PowerCut, cut_power_at
from small_bank import FILES, write_bank, write_data

from warehouse import vault
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.landing import land
from warehouse.sources.bank import load_bank
from warehouse.vault.keys import ROTATION_FILE, key_files, master_id, master_of


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rotated")
    write_bank(folder / "bank")
    later = FILES["person.csv"].replace("2,Li Si", "3,Wang Er")
    write_data(folder / "data", FILES | {"2024/01/31/person.csv": later})
    land(load_bank(folder / "bank"), folder / "data", Home(folder / "home"))
    return folder


def copy_of(landed: Path, tmp_path: Path, name: str) -> Home:
    return Home(Path(shutil.copytree(landed / "home", tmp_path / name)))


def test_a_rotation_changes_the_master_key_and_nothing_else(landed: Path, tmp_path: Path) -> None:
    home = copy_of(landed, tmp_path, "home")
    before, tokens, old = contents(home), keys_of(home).token, keys_of(home).master
    stated = vault.begin_rotation(home.vault)
    assert keys_of(home).token == tokens
    assert keys_of(home).master != old
    assert stated[1] == keys_of(home).master_id
    assert {master_of(file) for file in key_files(home.vault)} == {stated[1]}
    assert contents(home) == before
    assert not (home.vault / ROTATION_FILE).exists()
    assert not any(result.is_new for result in land(load_bank(landed / "bank"), landed / "data", home))


def test_the_power_may_fail_at_any_step_of_a_rotation(
    landed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = copy_of(landed, tmp_path, "whole")
    expected = contents(whole)
    with monkeypatch.context() as patched:
        done = cut_power_at(-1, patched)
        vault.begin_rotation(whole.vault)
    assert len(done) > 10
    outcomes = set()
    for step in range(1, len(done) + 1):
        home = copy_of(landed, tmp_path, f"home{step}")
        old = keys_of(home).master_id
        with monkeypatch.context() as patched:
            cut_power_at(step, patched)
            with pytest.raises(PowerCut):
                vault.begin_rotation(home.vault)
        keys = keys_of(home)
        outcomes.add(keys.master_id == old)
        assert {master_of(file) for file in key_files(home.vault)} == {keys.master_id}
        assert contents(home) == expected
        vault.status(home, "")
        assert not (home.vault / ROTATION_FILE).exists()
        assert not (home.vault / "master.key.new").exists()
    assert outcomes == {True, False}, "before it is stated nothing happens, afterwards all of it"


@pytest.mark.parametrize("damage", ["truncated", "gone", "a short key"])
def test_a_damaged_file_is_told_before_a_rotation_is_stated(damage: str, landed: Path, tmp_path: Path) -> None:
    home = copy_of(landed, tmp_path, "home")
    expected, keys = contents(home), keys_of(home)
    file = key_files(home.vault)[0]
    content, manifests = file.read_bytes(), {p: p.read_bytes() for p in home.vault.rglob("manifests/*.json")}
    if damage == "gone":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[:100])
    else:
        table = pq.read_table(file)
        rows = [row | {"wrapped": b"abc"} for row in table.to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
        restate(home, "small")
    before = {path: path.read_bytes() for path in home.vault.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as raised:
        vault.begin_rotation(home.vault)
    assert str(file if damage != "a short key" else file.parent) in str(raised.value)
    assert {path: path.read_bytes() for path in home.vault.rglob("*") if path.is_file()} == before
    file.write_bytes(content)
    for path, stated in manifests.items():
        path.write_bytes(stated)
    assert keys_of(home) == keys
    assert contents(home) == expected
    vault.begin_rotation(home.vault)
    assert contents(home) == expected


OLD, NEW = "1f" * 32, "2e" * 32


def test_keys_of_the_environment_are_both_needed_until_it_is_done(
    landed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(vault.KEY_VARIABLE, OLD)
    first = Home(tmp_path / "first")
    land(load_bank(landed / "bank"), landed / "data", first)
    expected = contents(first)
    with pytest.raises(UserError, match="new master key is not there"):
        vault.begin_rotation(first.vault)
    monkeypatch.setenv(vault.NEW_KEY_VARIABLE, OLD)
    with pytest.raises(UserError, match="is the old one"):
        vault.begin_rotation(first.vault)
    monkeypatch.setenv(vault.NEW_KEY_VARIABLE, NEW)
    whole = Home(Path(shutil.copytree(first.root, tmp_path / "whole")))
    with monkeypatch.context() as patched:
        done = cut_power_at(-1, patched)
        vault.begin_rotation(whole.vault)
    refused = 0
    for step in range(1, len(done) + 1):
        home = Home(Path(shutil.copytree(first.root, tmp_path / f"home{step}")))
        with monkeypatch.context() as patched:
            cut_power_at(step, patched)
            with pytest.raises(PowerCut):
                vault.begin_rotation(home.vault)
        if (home.vault / ROTATION_FILE).exists() and master_of_token(home) != master_id(bytes.fromhex(NEW)):
            with monkeypatch.context() as patched:
                patched.delenv(vault.NEW_KEY_VARIABLE)
                with pytest.raises(UserError, match="both keys are needed") as raised:
                    vault.load_keys(home.vault)
            assert f"set {vault.KEY_VARIABLE} to the old and {vault.NEW_KEY_VARIABLE} to the new" in str(raised.value)
            refused += 1
        vault.load_keys(home.vault)
        assert contents(home) == expected
        assert not (home.vault / ROTATION_FILE).exists()
    assert refused > 2
    monkeypatch.delenv(vault.NEW_KEY_VARIABLE)
    with pytest.raises(UserError, match="not the one it was sealed with"):
        vault.load_keys(whole.vault)
    monkeypatch.setenv(vault.KEY_VARIABLE, NEW)
    assert contents(whole) == expected


def master_of_token(home: Home) -> str:
    return str(json.loads((home.vault / "token.key").read_text())["master_key"])
