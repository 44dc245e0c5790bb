"""`mainbank sample`: what it writes, and what it refuses with exit code 2 and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from dagster_project.cli import main

PROGRAM = Path(sys.executable).with_name("mainbank")


def sample(*arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), "sample", *map(str, arguments)], capture_output=True, text=True, check=False, **settings
    )  # type: ignore[call-overload, no-any-return]


def test_it_writes_a_bank_from_any_month_in_both_formats_and_goes_on(tmp_path: Path) -> None:
    bank, truth = tmp_path / "bank", tmp_path / "truth"
    run = sample(
        "--out", bank, "--customers", 30, "--months", 2, "--start", "2022-11-01", "--seed", 5,
        "--format", "csv", "--format", "parquet",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert f"2022-11-01 to 2022-12-31 in {bank}" in run.stdout
    assert sorted(path.name for path in (bank / "transactions").iterdir()) == [
        "2022-11.csv", "2022-11.parquet", "2022-12.csv", "2022-12.parquet",
    ]  # fmt: skip
    run = sample("--out", bank, "--days", 2, "--truth", truth)
    assert run.returncode == 0, run.stderr
    assert f"2023-01-01 to 2023-01-02 in {bank}" in run.stdout
    assert (bank / "2023" / "01" / "02" / "transactions" / "2023-01-02.csv").is_file()
    assert (truth / "hazards").is_dir()


def test_dirt_by_rate_is_recorded_in_the_truth(tmp_path: Path) -> None:
    run = sample(
        "--out", tmp_path / "bank", "--truth", tmp_path / "truth", "--customers", 100, "--months", 1,
        "--format", "csv", "--dirt", 0.1,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    kinds = duckdb.sql(f"select distinct kind from '{tmp_path}/truth/faults/*.parquet'").fetchall()
    assert {"wrong_type", "impossible_date", "gbk_bytes", "duplicate", "orphan"} <= {row[0] for row in kinds}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--customers", "-5"], "where: customers"),
        (["--customers", "0"], "where: customers"),
        (["--months", "-1"], "where: months"),
        (["--months", "500"], "where: months"),
        (["--seed", "-1"], "where: seed"),
        (["--start", "2024-02-30"], "where: start"),
        (["--start", "2024-01-15"], "where: start"),
        (["--start", "yesterday"], "where: start"),
        (["--start", ""], "where: start"),
        (["--format", "xlsx"], "valid: parquet, csv"),
        (["--dirt", "2", "--format", "csv"], "where: dirt"),
        (["--dirt", "-1", "--format", "csv"], "where: dirt"),
        (["--dirt", "0.1"], "where: truth_dir"),
        (["--days", "0"], "no sample bank that could go on"),
        (["--days", "3", "--customers", "10", "--start", "2024-01-01"], "where: --customers, --start"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["mainbank", "sample", "--out", str(tmp_path / "bank"), *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    message = capsys.readouterr().err
    assert end.value.code == 2
    assert told in message
    assert "valid: " in message
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    # Folders of tests are their owner's alone: the one who may not write must at least get there.
    for folder in (closed, *closed.parents):
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to(tmp_path.parents[1]):
            folder.chmod(0o555 if folder == closed else folder.stat().st_mode | 0o055)
    script = f"""
import sys
from dagster_project.cli import main
sys.argv = ["mainbank", "sample", "--out", {str(closed / "bank")!r}, "--customers", "10", "--months", "1"]
import warehouse.sample_bank.generate
import os
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
main()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 2, run.stderr
    assert str(closed / "bank") in run.stderr
    assert "cannot be written there" in run.stderr
    assert "Permission denied" in run.stderr
    closed.chmod(0o755)
    assert list(closed.iterdir()) == []


def test_a_full_disk_leaves_no_partial_bank(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    # Where no disk may be mounted, files may not grow: the kernel refuses in the same place.
    limit = "" if mounted.returncode == 0 else "ulimit -f 100; trap '' XFSZ; "
    try:
        run = subprocess.run(
            ["bash", "-c", f'{limit}exec "$0" sample --out "$1" --customers 2000 --months 2', PROGRAM, disk / "bank"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 2, run.stderr
        assert "disk is full" in run.stderr
        assert str(disk / "bank") in run.stderr
        assert list(disk.iterdir()) == []
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(disk)], check=True)
