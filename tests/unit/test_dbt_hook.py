"""What runs before the first model: if it fails all models are skipped, and that is no run without failures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagster_project.lib import dbt


def test_a_failure_before_the_first_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    shutil.copy(dbt.PROJECT / "profiles.yml", project)
    (project / "dbt_project.yml").write_text(
        "name: small\nversion: '1.0'\nconfig-version: 2\nprofile: mainbank\non-run-start: select * from nowhere\n"
    )
    (project / "models" / "one.sql").write_text("select 1 as number")
    monkeypatch.setattr(dbt, "PROJECT", project)
    monkeypatch.setattr(dbt, "TARGET", tmp_path / "target")
    monkeypatch.setattr(dbt, "_parsed", None)
    with pytest.raises(dbt.DbtError, match="nowhere"):
        dbt.invoke(["run", "--quiet"], environment=dbt.variables(tmp_path / "warehouse.duckdb", tmp_path, "1GB", 1))
