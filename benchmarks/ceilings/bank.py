"""Sample banks brought to their features by the shipped mapping and models, with the truth they were made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from dagster_project.lib import dbt
from dagster_project.lib.build import start_build
from dagster_project.lib.miners import read_outcomes, read_panel
from warehouse.home import Home
from warehouse.landing import land
from warehouse.sample_bank.generate import generate
from warehouse.sources.bank import load_bank

CUSTOMERS, MONTHS = 20_000, 24
CUSTOMER_OF_PERSON = """
    select person_id, source_customer_id
    from raw.person_records
    where source_system = 'core' and known_to = date '9999-12-31'
"""


@dataclass(frozen=True)
class SeedBank:
    """A sample bank brought to its features, with its truth.

    Parameters
    ----------
    panel, outcomes
        As the miners read them; `person_id` is the bank's own customer id, so that truth can be joined.
    truth
        Folder of the truth.
    """

    seed: int
    panel: pd.DataFrame
    outcomes: pd.DataFrame
    truth: Path


def seed_bank(folder: Path, seed: int, customers: int = CUSTOMERS, months: int = MONTHS) -> SeedBank:
    """Generate a bank, build its features with the shipped mapping and models, and keep them in `folder`."""
    panel, outcomes, truth = folder / "panel.parquet", folder / "outcomes.parquet", folder / "truth"
    if not outcomes.is_file():
        generate(folder / "bank", customers=customers, months=months, seed=seed, truth_dir=truth)
        home, bank = Home(folder / "home"), load_bank("sample")
        home.prepare()
        land(bank, folder / "bank", home)
        build = start_build(bank, home, None, "benchmark", progress=lambda _: None).build
        settings = {"as_of": build.as_of.isoformat(), "base_currency": "CNY", "time_zone": bank.settings.time_zone}
        results = dbt.invoke(
            [
                *("build", "--quiet", "--no-write-json", "--exclude-resource-type", "unit_test", "test"),
                *("--exclude", "tag:mined", "--vars", json.dumps(settings)),
            ],
            environment=dbt.variables(build.warehouse, build.temporary, "4GB", 2),
        )
        wrong = [result.message for result in results if not result.is_good]
        if wrong:
            raise RuntimeError(wrong[0])
        with duckdb.connect(str(build.warehouse), read_only=True) as connection:
            ids = dict(connection.execute(CUSTOMER_OF_PERSON).fetchall())
        for frame, path in ((read_panel(build, bank), panel), (read_outcomes(build, bank), outcomes)):
            frame.assign(person_id=frame["person_id"].map(ids)).to_parquet(path, index=False)
    return SeedBank(seed, pd.read_parquet(panel), pd.read_parquet(outcomes), truth)
