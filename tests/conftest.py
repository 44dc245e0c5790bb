"""What tests of every kind share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the public data sets beside the repository; the test is skipped where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the public data sets are not beside the repository (../shared/data)")
    return SHARED_DATA


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where `FAIL_ON_SKIP` is set, unless `ALLOW_SKIP` names the test."""
    report = yield
    allowed = os.environ.get("ALLOW_SKIP", "").split()
    if report.skipped and os.environ.get("FAIL_ON_SKIP") and not any(name in item.nodeid for name in allowed):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: name it in ALLOW_SKIP to accept that. {report.longrepr}"
    return report
