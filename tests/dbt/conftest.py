"""One parsed manifest and as many warehouses as a test asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from star_bank import Dbt, Warehouse


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    return Dbt(tmp_path_factory.mktemp("dbt"))


@pytest.fixture(scope="session")
def new_warehouse(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Warehouse]:
    """Function that makes another warehouse, empty or a copy of one."""

    def make(copy_of: Path | None = None) -> Warehouse:
        return Warehouse(dbt, tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb", copy_of)

    return make
