"""A bank's own rows take a seed's place only if they fit it; what does not is told by file, line and column."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from dagster_project.lib.overrides import (
    SEEDS,
    read_overrides,
    replaceable_seeds,
    settings_in_force,
    write_overrides,
)
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.sources.bank import load_bank

TIERS = (SEEDS / "tier_bands.csv").read_text()
PLATINUM = "platinum,4,1000000.00,3000000.00,3,3,true,Platinum,白金,1900-01-01,9999-12-31\n"
DIAMOND = "diamond,6,5000000.00,10000000.00,3,1,true,Diamond,钻石,1900-01-01,9999-12-31\n"


@pytest.fixture
def bank(tmp_path):
    folder = tmp_path / "bank"
    folder.mkdir()
    return replace(load_bank("sample"), folder=folder)


@pytest.fixture
def home(tmp_path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def put(folder: Path, name: str, text: str) -> Path:
    (folder / "overrides").mkdir(exist_ok=True)
    (folder / "overrides" / name).write_text(text)
    return folder / "overrides" / name


def changed(old: str, new: str, text: str = TIERS) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_what_is_shipped_fits_itself(bank, home):
    seeds = replaceable_seeds()
    assert set(seeds) == {
        "age_bands", "completeness_weights", "lifecycle_bounds", "product_categories", "settings", "source_reliability",
        "tier_bands",
    }  # fmt: skip
    for name in seeds:
        put(bank.folder, f"{name}.csv", (SEEDS / f"{name}.csv").read_text())
    assert [override.seed for override in read_overrides(bank, home)] == sorted(seeds)


def test_without_the_folder_there_is_none(bank, home):
    assert read_overrides(bank, home) == []


def test_a_bound_that_changes_on_a_day_is_read_with_its_types(bank, home):
    # platinum reaches to 4 million from 2025 on, and premier platinum begins there: on no day a gap, on none an overlap
    text = changed(
        PLATINUM,
        PLATINUM.replace("9999-12-31", "2025-01-01")
        + PLATINUM.replace("1900-01-01", "2025-01-01").replace("3000000.00", "4000000.00"),
    )
    band = "premier_platinum,5,3000000.00,5000000.00,3,2,true,Premier platinum,卓越白金,1900-01-01,9999-12-31\n"
    text = changed(
        band,
        band.replace("9999-12-31", "2025-01-01")
        + band.replace("1900-01-01", "2025-01-01").replace("3000000.00", "4000000.00"),
        text,
    )
    put(home.root, "tier_bands.csv", text)
    (override,) = read_overrides(bank, home)
    assert override.owner == "home"
    assert len(override.rows) == 9
    row = override.rows[4]
    assert (row["tier"], row["aum_from"], row["aum_below"], row["misses_allowed"], row["is_high_end"]) == (
        "platinum", Decimal("1000000.00"), Decimal("4000000.00"), 3, True,
    )  # fmt: skip
    assert (row["valid_from"], override.rows[0]["manager_grade"]) == (date(2025, 1, 1), None)


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("tier_band.csv", TIERS, ["tier_band.csv", "tier_bands.csv"]),
        ("tier_bands.txt", TIERS, ["tier_bands.txt"]),
        ("feature_names.csv", TIERS, ["feature_names.csv"]),
        ("tier_bands.csv", "", ["line 1", "no column tier"]),
        ("tier_bands.csv", TIERS.splitlines()[0], ["there is no row"]),
        ("tier_bands.csv", changed("misses_allowed", "misses"), ["line 1", "no column misses_allowed", "'misses'"]),
        ("tier_bands.csv", changed(",3,,false,Mass", ",three,,false,Mass"), ["line 2", "misses_allowed", "'three'"]),
        (
            "tier_bands.csv",
            changed("200000.00,500000.00", "200000.00,500000.001"),
            ["line 3", "aum_below", "500000.001"],
        ),
        ("tier_bands.csv", changed(PLATINUM, PLATINUM.replace("1900-01-01", "1.1.1900")), ["line 5", "'1.1.1900'"]),
        (
            "tier_bands.csv",
            changed(PLATINUM, PLATINUM.replace("true", "yes")),
            ["line 5", "is_high_end", "true, false"],
        ),
        ("tier_bands.csv", changed(PLATINUM, PLATINUM.replace("Platinum", "")), ["line 5", "name_en", "missing"]),
        ("tier_bands.csv", changed(PLATINUM, PLATINUM + "x\n"), ["line 6", "fields"]),
        ("tier_bands.csv", changed(PLATINUM, PLATINUM.replace("00,3,3", "00,0,3")), ["misses_allowed", "at least 1"]),
        ("tier_bands.csv", changed(PLATINUM, PLATINUM.replace("00,3,3", "00,3,9")), ["manager_grade", "senior"]),
        ("tier_bands.csv", changed(PLATINUM, ""), ["premier_platinum", "does not begin", "1000000.00"]),
        (
            "tier_bands.csv",
            changed(PLATINUM, PLATINUM.replace("1000000.00", "1000000.01")),
            ["platinum", "does not begin"],
        ),
        (
            "tier_bands.csv",
            changed(PLATINUM, PLATINUM.replace("1000000.00", "999999.99")),
            ["platinum", "does not begin"],
        ),
        ("tier_bands.csv", changed(DIAMOND, DIAMOND.replace("diamond,6", "diamond,5")), ["rank of diamond", "6"]),
        ("tier_bands.csv", changed(",10000000.00,,6", ",10000000.00,20000000.00,6"), ["highest band", "20000000.00"]),
        ("tier_bands.csv", changed("mass,1,,", "mass,1,0.00,"), ["mass", "does not begin", "None"]),
        # validity, half-open: a day missing, a day twice, an end
        (
            "tier_bands.csv",
            changed(
                PLATINUM, PLATINUM.replace("9999-12-31", "2025-01-01") + PLATINUM.replace("1900-01-01", "2025-01-02")
            ),
            ["line 6", "a gap", "from 2025-01-02", "from 2025-01-01"],
        ),
        (
            "tier_bands.csv",
            changed(
                PLATINUM, PLATINUM.replace("9999-12-31", "2025-01-01") + PLATINUM.replace("1900-01-01", "2024-12-31")
            ),
            ["line 6", "an overlap", "from 2024-12-31"],
        ),
        (
            "tier_bands.csv",
            changed(PLATINUM, PLATINUM.replace("9999-12-31", "2025-01-01")),
            ["platinum end", "2025-01-01"],
        ),
        (
            "lifecycle_bounds.csv",
            "bound,value,unit,meaning_en,meaning_zh,valid_from,valid_to\ndormant_days,90,days,a,b,1900-01-01,9999-12-31\n",
            ["no activity_minimum"],
        ),
        (
            "lifecycle_bounds.csv",
            (SEEDS / "lifecycle_bounds.csv").read_text() + "dormant_day,1,days,a,b,1900-01-01,9999-12-31\n",
            ["dormant_day", "dormant_days"],
        ),
        (
            "settings.csv",
            (SEEDS / "settings.csv").read_text() + "rebooking_days,9,days,a,b\n",
            ["stands twice", "rebooking_days"],
        ),
        (
            "source_reliability.csv",
            changed(
                "preferred_channel,crm,0", "channel_preferred,crm,0", (SEEDS / "source_reliability.csv").read_text()
            ),
            ["line 5", "'channel_preferred'", "preferred_channel"],
        ),
        (
            "age_bands.csv",
            changed("65+,65,200", "65+,65,90", (SEEDS / "age_bands.csv").read_text()),
            ["ends elsewhere", "200"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(bank, home, name, text, places):
    file = put(bank.folder, name, text)
    with pytest.raises(UserError) as refused:
        read_overrides(bank, home)
    for place in (str(file), *places):
        assert place in str(refused.value), str(refused.value)


def test_text_that_is_not_utf_8_is_refused(bank, home):
    put(bank.folder, "tier_bands.csv", "").write_bytes(TIERS.encode("gbk"))
    with pytest.raises(UserError, match="UTF-8"):
        read_overrides(bank, home)


def test_bank_and_home_may_not_both_speak(bank, home):
    put(bank.folder, "tier_bands.csv", TIERS)
    put(home.root, "tier_bands.csv", TIERS)
    with pytest.raises(UserError, match="two files replace the same settings"):
        read_overrides(bank, home)


def test_the_warehouse_forgets_an_override_that_was_taken_away_and_the_release_says_which_is_in_force(bank, home):
    put(home.root, "tier_bands.csv", changed(PLATINUM, PLATINUM.replace("00,3,3", "00,4,3")))
    with duckdb.connect() as connection:
        connection.execute("create schema settings")
        for seed in replaceable_seeds().values():
            columns = ", ".join(f"{name} {kind}" for name, kind in seed.columns.items())
            connection.execute(f"create table settings.{seed.name} ({columns})")
            connection.execute(
                f"insert into settings.{seed.name} from read_csv('{SEEDS / seed.name}.csv', all_varchar = true)"
            )
        write_overrides(connection, read_overrides(bank, home))
        connection.execute("delete from settings.tier_bands")
        connection.execute("insert into settings.tier_bands from bookkeeping.override_tier_bands")
        said = {row[0]: row[1:] for row in settings_in_force(connection)}
        assert said["tier_bands.platinum"] == (
            "tier_rank 4, aum_from 1000000.00, aum_below 3000000.00, misses_allowed 4, manager_grade 3, "
            "is_high_end true",
            "override",
            "home: overrides/tier_bands.csv",
        )
        assert said["lifecycle_bounds.dormant_days"] == (
            "value 180.000000, unit days", "shipped", "dbt/seeds/lifecycle_bounds.csv",
        )  # fmt: skip
        write_overrides(connection, [])
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'bookkeeping' order by all"
        ).fetchall()
        assert tables == [("override_file",)]
