"""A bank's own rows stand in the seed before any model reads it, and go when the bank takes them back."""

from __future__ import annotations

from dataclasses import replace

import duckdb

from dagster_project.lib.overrides import SEEDS, read_overrides, settings_in_force, write_overrides
from warehouse.home import Home
from warehouse.sources.bank import load_bank


def test_an_override_is_in_force_as_long_as_it_is_there(new_warehouse, tmp_path):
    warehouse = new_warehouse()
    home = Home(tmp_path / "home")
    home.prepare()
    bank = replace(load_bank("sample"), folder=tmp_path)
    (home.root / "overrides").mkdir()
    file = home.root / "overrides" / "tier_bands.csv"
    file.write_text((SEEDS / "tier_bands.csv").read_text().replace("10000000.00", "20000000.00"))

    def seed() -> list[tuple[str, str]]:
        with duckdb.connect(warehouse.file) as connection:
            write_overrides(connection, read_overrides(bank, home))
        outcome = warehouse.dbt_command("seed", "2024-01-31")
        assert outcome.success, [(node.node.name, node.message) for node in outcome.result.results]
        with duckdb.connect(warehouse.file, read_only=True) as connection:
            origins = {row[0]: row[2] for row in settings_in_force(connection)}
        rows = warehouse.rows("select aum_from::varchar from settings.tier_bands where tier = 'black_gold'")
        return [*rows, (origins["tier_bands.black_gold"], origins["age_bands.65+"])]

    assert seed() == [("20000000.00",), ("override", "shipped")]
    file.unlink()
    assert seed() == [("10000000.00",), ("shipped", "shipped")]
