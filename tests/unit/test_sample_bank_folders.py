"""Folders of the sample bank: a bank and its truth are told apart, belong together, and no run spoils another's."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from warehouse.errors import UserError
from warehouse.sample_bank import generate as module
from warehouse.sample_bank.dirt import Dirt
from warehouse.sample_bank.generate import deliver, generate
from warehouse.sample_bank.parameters import DEFAULT_PARAMETERS

LATE = Dirt(duplicate=0.2, late=0.1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(folder: Path, call: Callable[[], object], told: str) -> UserError:
    """The error of a call, which changes nothing."""
    before = contents(folder)
    with pytest.raises(UserError, match=told) as error:
        call()
    assert contents(folder) == before
    return error.value


class TestKinds:
    def test_a_truth_never_replaces_a_bank_nor_a_bank_a_truth(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=10, months=1, truth_dir=tmp_path / "truth")
        refused(
            tmp_path,
            lambda: generate(tmp_path / "other", customers=10, months=1, truth_dir=tmp_path / "bank"),
            "no truth of a sample bank",
        )
        refused(tmp_path, lambda: generate(tmp_path / "truth", customers=10, months=1), "no sample bank")

    def test_a_truth_does_not_go_on_as_a_bank(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=10, months=1, truth_dir=tmp_path / "truth")
        refused(tmp_path, lambda: deliver(tmp_path / "truth", 2), "no sample bank that could go on")


class TestTruth:
    def test_that_of_another_bank_is_refused(self, tmp_path: Path) -> None:
        for name, seed in (("one", 1), ("two", 2)):
            generate(tmp_path / name, customers=10, months=1, seed=seed, truth_dir=tmp_path / f"truth of {name}")
        refused(tmp_path, lambda: deliver(tmp_path / "one", 1, truth_dir=tmp_path / "truth of two"), "not this bank's")

    def test_a_new_one_does_not_know_the_faults_of_before(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=50, months=1, truth_dir=tmp_path / "truth", dirt=LATE)
        refused(tmp_path, lambda: deliver(tmp_path / "bank", 2, truth_dir=tmp_path / "new"), "not this bank's")
        deliver(tmp_path / "bank", 2, truth_dir=tmp_path / "truth")
        told = duckdb.sql(f"select distinct delivery[:4] from '{tmp_path}/truth/faults/*.parquet'").fetchall()
        assert {("2024",), ("tran",)} <= set(told)

    def test_a_copy_from_before_the_last_days_is_refused_where_there_is_dirt(self, tmp_path: Path) -> None:
        for name in ("truth", "old"):
            generate(tmp_path / "bank", customers=50, months=1, truth_dir=tmp_path / name, dirt=LATE)
        deliver(tmp_path / "bank", 2, truth_dir=tmp_path / "truth")
        refused(tmp_path, lambda: deliver(tmp_path / "bank", 1, truth_dir=tmp_path / "old"), "not this bank's")


class TestMaker:
    def test_other_parameters_do_not_go_on(self, tmp_path: Path) -> None:
        other = replace(DEFAULT_PARAMETERS, complaint=0.5)
        generate(tmp_path / "bank", customers=10, months=1, parameters=other)
        refused(tmp_path, lambda: deliver(tmp_path / "bank", 1), "made with other parameters")
        deliver(tmp_path / "bank", 1, parameters=other)

    def test_another_version_does_not_go_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        generate(tmp_path / "bank", customers=10, months=1)
        monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
        refused(tmp_path, lambda: deliver(tmp_path / "bank", 1), "made with another version")


class TestManifest:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("slice", [1]),
            ("slice", [0, "a"]),
            ("rows", None),
            ("rows", {"transactions": "many"}),
            ("dirt", 3),
            ("dirt", {"mud": 1}),
            ("months", 10**9),
            ("delivered_until", "2023-01-01"),
            ("delivered_until", 5),
        ],
    )
    def test_a_damaged_one_is_named(self, tmp_path: Path, name: str, value: object) -> None:
        generate(tmp_path / "bank", customers=10, months=1)
        path = tmp_path / "bank" / "sample_bank.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
        error = refused(tmp_path, lambda: deliver(tmp_path / "bank", 1), "cannot be read")
        assert error.where == str(path)

    def test_one_without_rows_and_one_that_is_a_folder_are_named(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=10, months=1)
        path = tmp_path / "bank" / "sample_bank.json"
        manifest = json.loads(path.read_text())
        del manifest["rows"]
        path.write_text(json.dumps(manifest))
        refused(tmp_path, lambda: deliver(tmp_path / "bank", 1), "cannot be read")
        path.unlink()
        path.mkdir()
        refused(tmp_path, lambda: deliver(tmp_path / "bank", 1), "cannot be read")


class TestRuns:
    def test_two_runs_do_not_write_one_folder_at_once(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=10, months=1)
        handle = os.open(tmp_path / "bank", os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            refused(tmp_path, lambda: deliver(tmp_path / "bank", 1), "another run is at work")
            refused(tmp_path, lambda: generate(tmp_path / "bank", customers=10, months=1), "another run is at work")
        finally:
            os.close(handle)
        deliver(tmp_path / "bank", 1)

    def test_what_a_killed_run_left_is_swept_and_a_living_runs_is_not(self, tmp_path: Path) -> None:
        for name in (".bank.partial-abcd1234", ".bank.partial-alive123", ".bank2.partial-abcd1234"):
            (tmp_path / name / "transactions").mkdir(parents=True)
        handle = os.open(tmp_path / ".bank.partial-alive123", os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            generate(tmp_path / "bank", customers=10, months=1)
        finally:
            os.close(handle)
        assert {path.name for path in tmp_path.iterdir()} == {
            "bank", ".bank.partial-alive123", ".bank2.partial-abcd1234",
        }  # fmt: skip
        deliver(tmp_path / "bank", 1)
        assert {path.name for path in tmp_path.iterdir()} == {"bank", ".bank2.partial-abcd1234"}

    def test_a_bank_that_a_killed_run_had_moved_aside_is_put_back(self, tmp_path: Path) -> None:
        generate(tmp_path / "bank", customers=10, months=1)
        (tmp_path / ".bank.old-abcd1234").mkdir()
        (tmp_path / "bank").rename(tmp_path / ".bank.old-abcd1234" / "bank")
        with pytest.raises(UserError, match="holds something that is no truth"):
            generate(tmp_path / "other", customers=10, months=1, truth_dir=tmp_path / "bank")
        assert (tmp_path / "bank" / "sample_bank.json").is_file()
