"""What tests of every kind share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the public data sets beside the repository; the test is skipped where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the public data sets are not beside the repository (../shared/data)")
    return SHARED_DATA
