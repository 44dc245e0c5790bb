"""An interrupted landing leaves nothing half-written, and the next one completes it."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opened_vault import contents, plant_keys
from power_cut import PowerCut, cut_power_at

from warehouse import vault
from warehouse.home import Home
from warehouse.landing import land
from warehouse.ledger import read_ledger
from warehouse.quarantine import summarise
from warehouse.sample_bank.berka_shape import write_berka_shaped_bank
from warehouse.sources.bank import Bank, QuarantineSettings, load_bank


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    """Two sources of the sample bank, one of them with identifiers, and room for faulty records."""
    monkeypatch.setenv("MAINBANK_VAULT_KEY", "1f" * 32)
    whole = load_bank("berka_shape")
    sources = {name: whole.mapping.sources[name] for name in ("client", "card")}
    share = QuarantineSettings(maximum_share=Decimal("0.5"))
    return replace(
        whole,
        mapping=replace(whole.mapping, sources=sources),
        settings=replace(whole.settings, quarantine=share),
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = write_berka_shaped_bank(tmp_path / "data", customers=20, months=12)
    with (folder / "client.asc").open("a") as handle:
        handle.write('three;"706213";18\r\n')
    return folder


def state(home: Home, name: str) -> dict[str, Any]:
    """Everything a home holds, sealed values opened, but for the clock."""
    found = contents(home)
    assert found, name
    return found


def home_with_keys(root: Path) -> Home:
    """A home whose tokens are those of every other one here."""
    return plant_keys(Home(root), "1f" * 32)


def steps_of_a_landing(bank: Bank, data: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as patched:
        done = cut_power_at(-1, patched)
        land(bank, data, home)
    return len(done)


def test_the_power_may_fail_at_any_step(
    bank: Bank, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = home_with_keys(tmp_path / "whole")
    steps = steps_of_a_landing(bank, data, whole, monkeypatch)
    assert steps > 10
    for step in range(1, steps + 1):
        home = home_with_keys(tmp_path / f"home{step}")
        with monkeypatch.context() as patched:
            cut_power_at(step, patched)
            with pytest.raises(PowerCut):
                land(bank, data, home)
        for entry in read_ledger(home.landing, "berka_shape"):
            assert entry.parquet_path(home.landing).is_file(), "what the ledger names is there"
        summarise(home)
        land(bank, data, home)
        assert state(home, f"step {step}") == state(whole, "whole")
        vault.status(home, "")


def test_what_an_interruption_left_is_swept_away(bank: Bank, data: Path, tmp_path: Path) -> None:
    home = home_with_keys(tmp_path / "home")
    land(bank, data, home)
    before = state(home, "before")
    leftovers = ["landing/berka_shape/client/.0123.tmp", "landing/berka_shape/client/0123456789abcdef.parquet"]
    leftovers += [
        "vault/berka_shape/.0123.tmp",
        "vault/berka_shape/keys/0123456789abcdef.parquet",
        "quarantine/berka_shape/0123456789abcdef.parquet",
        "landing/berka_shape/ledger/.x.tmp",
    ]
    for name in leftovers:
        (home.root / name).write_bytes(b"half")
    land(bank, data, home)
    assert state(home, "after") == before


def test_a_landed_file_that_is_gone_is_landed_again(bank: Bank, data: Path, tmp_path: Path) -> None:
    home = home_with_keys(tmp_path / "home")
    land(bank, data, home)
    before = state(home, "before")
    read_ledger(home.landing, "berka_shape")[0].parquet_path(home.landing).unlink()
    results = land(bank, data, home)
    assert [result.is_new for result in results].count(True) == 1
    assert state(home, "after") == before


def test_the_power_may_fail_while_a_lost_file_is_landed_again(
    bank: Bank, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = home_with_keys(tmp_path / "whole")
    land(bank, data, whole)
    before = state(whole, "before")
    lost = next(e for e in read_ledger(whole.landing, "berka_shape") if e.source == "client").parquet_path
    lost(whole.landing).unlink()

    def again(name: str, step: int) -> tuple[Home, int]:
        home = Home(Path(shutil.copytree(whole.root, tmp_path / name)))
        with monkeypatch.context() as patched:
            done = cut_power_at(step, patched)
            with contextlib.suppress(PowerCut):
                land(bank, data, home)
        return home, len(done)

    _, steps = again("counted", -1)
    assert steps > 10
    for step in range(1, steps + 1):
        home, _ = again(f"home{step}", step)
        vault.status(home, "")
        land(bank, data, home)
        assert state(home, f"step {step}") == before
        vault.status(home, "")


DRIVER = """
import sys
from pathlib import Path
from warehouse.home import Home
from warehouse.landing import land
from warehouse.sources.bank import load_bank
bank = load_bank("berka_shape")
print("ready", flush=True)
land(bank, Path(sys.argv[1]), Home(Path(sys.argv[2])))
"""


@pytest.mark.slow
def test_a_landing_that_is_killed_again_and_again_completes_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINBANK_VAULT_KEY", "1f" * 32)
    data = write_berka_shaped_bank(tmp_path / "data", customers=3000)
    bank = load_bank("berka_shape")
    whole, home = home_with_keys(tmp_path / "whole"), home_with_keys(tmp_path / "home")
    started = time.perf_counter()
    land(bank, data, whole)
    duration = time.perf_counter() - started
    moments = random.Random(7)
    kills = 0
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(data), str(home.root)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.random() * duration * 0.8)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        for entry in read_ledger(home.landing, "berka_shape"):
            assert entry.parquet_path(home.landing).is_file()
    assert kills > 3
    land(bank, data, home)
    assert state(home, "after") == state(whole, "whole")


#: The kernel's peak of this program's own memory: that of `getrusage` begins with the peak of whoever started it.
MEASURED = """
from dataclasses import replace
from pathlib import Path
import sys
from warehouse.home import Home
from warehouse.landing import land
from warehouse.sources.bank import load_bank
bank = load_bank("berka_shape")
bank = replace(bank, mapping=replace(bank.mapping, sources={"trans": bank.mapping.sources["trans"]}))
(result,) = land(bank, Path(sys.argv[1]), Home(Path(sys.argv[2])))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(result.entry.rows_landed, peak.split()[1])
"""


@pytest.mark.slow
def test_five_million_rows_need_less_than_a_gigabyte(tmp_path: Path) -> None:
    data = write_berka_shaped_bank(tmp_path / "data", customers=300)
    header, *rows = (data / "trans.asc").read_bytes().splitlines(keepends=True)
    body, copies = b"".join(rows), -(-5_000_000 // len(rows))
    with (data / "trans.asc").open("wb") as handle:
        handle.write(header)
        for _ in range(copies):
            handle.write(body)
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED, str(data), str(tmp_path / "home")], capture_output=True, text=True, check=True
    )
    landed, kilobytes = map(int, finished.stdout.split())
    assert landed == copies * len(rows) >= 5_000_000
    assert kilobytes < 1_000_000
