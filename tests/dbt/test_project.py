"""The dbt project says what it means: grain, both languages, types that BI tools read."""

from __future__ import annotations

import csv
import re
from datetime import date

import pytest
import yaml
from star_bank import PROJECT

from warehouse.contract import load_contract
from warehouse.release import PUBLIC_SCHEMAS as RELEASED_SCHEMAS
from warehouse.release import PUBLIC_TYPES

LONGEST_MODEL = 160
"""Lines: what is longer does several things and is split into models of their own."""
PUBLIC_SCHEMAS = {"core", "customer", "features", "mining", "meta", "quality"}


@pytest.fixture(scope="module")
def models(dbt):
    return [node for node in dbt.manifest.nodes.values() if node.resource_type == "model"]


@pytest.fixture(scope="module")
def public_models(models):
    return [model for model in models if model.schema in PUBLIC_SCHEMAS]


def _is_bilingual(description: str) -> bool:
    english, separator, chinese = description.partition(" | ")
    return bool(english and separator) and chinese.rstrip().endswith("。") and english.rstrip().endswith((".", "?"))


def test_every_model_has_a_grain_and_says_what_it_is_in_both_languages(models):
    assert [model.name for model in models if not model.config.meta.get("grain")] == []
    assert [model.name for model in models if not _is_bilingual(model.description)] == []


def test_every_public_model_has_an_enforced_contract_with_every_column_in_both_languages(public_models):
    assert [model.name for model in public_models if not model.contract.enforced] == []
    assert [
        f"{model.name}.{column.name}"
        for model in public_models
        for column in model.columns.values()
        if not _is_bilingual(column.description)
    ] == []


def test_every_published_model_is_tested_for_what_tells_its_rows_apart(dbt, public_models):
    unique = {
        node.attached_node
        for node in dbt.manifest.nodes.values()
        if getattr(node, "test_metadata", None) and node.test_metadata.kwargs.get("unique")
    }
    published = [model for model in public_models if model.schema in RELEASED_SCHEMAS or model.schema == "features"]
    assert len(published) > 60
    assert [model.name for model in published if model.unique_id not in unique] == []


def test_every_model_has_its_description_beside_it_and_can_be_read_in_one_go(models):
    paths = [PROJECT / model.original_file_path for model in models]
    assert [path.name for path in paths if not path.with_suffix(".yml").is_file()] == []
    assert [path.name for path in paths if len(path.read_text().splitlines()) > LONGEST_MODEL] == []


def test_what_lets_months_stand_names_every_seed_and_every_delivered_table(dbt, new_warehouse):
    """A table that is forgotten in `int_known_state` would leave months stale."""
    outcome = new_warehouse().dbt_command("compile", "2024-03-31", "--select", "int_known_state")
    (node,) = outcome.result.results
    named = set(re.findall(r"'(?:settings|raw)\.(\w+)' as part", node.node.compiled_code))
    seeds = {node.name for node in dbt.manifest.nodes.values() if node.resource_type == "seed"}
    assert named == seeds | set(load_contract().tables)


def test_every_measure_of_a_fact_says_whether_it_adds_up(public_models):
    measures = {
        f"{model.name}.{column.name}": column.config.meta.get("additivity")
        for model in public_models
        if model.name.startswith("fct_")
        for column in model.columns.values()
        if column.data_type.startswith(("decimal", "bigint", "integer"))
    }
    assert {
        name for name, kind in measures.items() if kind not in ("additive", "semi-additive", "non-additive")
    } == set()


def test_public_columns_have_types_that_every_driver_reads(public_models):
    assert {
        column.data_type.split("(")[0].upper() for model in public_models for column in model.columns.values()
    } <= PUBLIC_TYPES


def test_nothing_that_identifies_a_person_is_public(public_models):
    identifying = {
        name
        for table in load_contract().tables.values()
        for column in table.columns
        if column.is_identifying
        for name in (column.name, column.raw_name)
    } - {"name"}  # branches and products have names too
    forbidden = identifying | {"record_id", "source_customer_id", "born_on", "married_on", "annual_income"}
    found = {f"{model.name}.{name}" for model in public_models for name in model.columns if name in forbidden}
    assert found == set()
    assert "name" not in next(model for model in public_models if model.name == "dim_customer").columns


def test_every_product_category_of_the_contract_is_classed():
    category = load_contract().tables["products"].column("category")
    with (PROJECT / "seeds" / "product_categories.csv").open() as file:
        assert {row["category"] for row in csv.DictReader(file)} == set(category.values)


def _seed(name: str) -> list[dict[str, str]]:
    with (PROJECT / "seeds" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_product_category_hangs_in_the_tree_and_every_way_up_ends_at_all():
    parents = {row["category"]: row["parent_category"] for row in _seed("product_category_tree")}
    assert {row["category"] for row in _seed("product_categories")} == set(parents) - set(parents.values()) - {
        "unclassified"
    }
    for category in parents:
        way = [category]
        while parents[way[-1]]:
            way.append(parents[way[-1]])
            assert len(way) <= len(parents), way
        assert way[-1] == "all"


@pytest.mark.parametrize(
    ("column", "use"),
    [
        ("transactions.channel", "is_for_transactions"),
        ("accounts.opened_channel", "is_for_transactions"),
        ("contacts.channel", "is_for_contacts"),
        ("campaigns.channel", "is_for_contacts"),
        ("complaints.channel", "is_for_complaints"),
    ],
)
def test_every_channel_of_the_contract_is_a_member(column, use):
    table, name = column.split(".")
    members = {row["channel"] for row in _seed("channels") if row[use] == "true"}
    assert set(load_contract().tables[table].column(name).values) == members


def test_the_calendar_has_as_many_workdays_as_the_law_leaves():
    """Days of the year less weekends less statutory holidays: 11 until 2024, 13 since; 2020 gave two days more."""
    days = {date.fromisoformat(row["date_on"]): row for row in _seed("bank_holidays")}
    assert all(row["time_zone"] == "Asia/Shanghai" and row["source"] for row in days.values())
    # a weekend that is worked is a weekend, and nothing is said of a day twice
    assert all(day.weekday() >= 5 for day, row in days.items() if row["is_workday"] == "true")
    assert len(days) == len(_seed("bank_holidays"))
    for year in range(2018, 2027):
        calendar = [
            date.fromordinal(number) for number in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())
        ]
        weekdays = sum(day.weekday() < 5 for day in calendar)
        worked = sum(days[day]["is_workday"] == "true" if day in days else day.weekday() < 5 for day in calendar)
        assert weekdays - worked == (13 if year >= 2025 else 11) + (2 if year == 2020 else 0), year


#: What the notices for five years say, days off as (first, last) and weekends worked, read from their texts as published
#: (zh.wikisource.org, beijing.gov.cn, Xinhua); the seed names the number of each.
NOTICES = {
    2022: (
        "1-1 1-3, 1-31 2-6, 4-3 4-5, 4-30 5-4, 6-3 6-5, 9-10 9-12, 10-1 10-7",
        "1-29 1-30 4-2 4-24 5-7 10-8 10-9",
    ),
    2023: (
        "2022-12-31 1-2, 1-21 1-27, 4-5 4-5, 4-29 5-3, 6-22 6-24, 9-29 10-6",
        "1-28 1-29 4-23 5-6 6-25 10-7 10-8",
    ),
    2024: (
        "1-1 1-1, 2-10 2-17, 4-4 4-6, 5-1 5-5, 6-10 6-10, 9-15 9-17, 10-1 10-7",
        "2-4 2-18 4-7 4-28 5-11 9-14 9-29 10-12",
    ),
    2025: (
        "1-1 1-1, 1-28 2-4, 4-4 4-6, 5-1 5-5, 5-31 6-2, 10-1 10-8",
        "1-26 2-8 4-27 9-28 10-11",
    ),
    2026: (
        "1-1 1-3, 2-15 2-23, 4-4 4-6, 5-1 5-5, 6-19 6-21, 9-25 9-27, 10-1 10-7",
        "1-4 2-14 2-28 5-9 9-20 10-10",
    ),
}


@pytest.mark.parametrize("year", NOTICES)
def test_the_calendar_of_a_year_is_what_its_notice_says(year):
    def day(text: str) -> date:
        parts = [int(part) for part in text.split("-")]
        return date(*parts) if len(parts) == 3 else date(year, *parts)

    off, worked = NOTICES[year]
    spans = [tuple(map(day, span.split())) for span in off.split(", ")]
    expected = {
        **{
            date.fromordinal(number): "false"
            for first, last in spans
            for number in range(first.toordinal(), last.toordinal() + 1)
        },
        **{day(text): "true" for text in worked.split()},
    }
    found = {
        date.fromisoformat(row["date_on"]): row["is_workday"]
        for row in _seed("bank_holidays")
        if row["notice_year"] == str(year)
    }
    assert found == expected


def test_sql_that_would_not_travel_stays_in_the_dialect_folder():
    refused = re.compile(
        r"generate_series|unnest\s*\(|arg_max|arg_min|strftime|strptime|\bexclude\b|asof join|list_|struct_|::|by name",
    )
    found = [
        f"{path.relative_to(PROJECT)}: {match.group()}"
        for folder in ("models", "macros", "tests")
        for path in sorted((PROJECT / folder).rglob("*.sql"))
        if "dialect" not in path.parts
        for match in refused.finditer(path.read_text())
    ]
    assert found == []


def test_the_folder_is_no_python_package():
    assert list(PROJECT.rglob("__init__.py")) == []


def test_only_what_belongs_to_a_session_is_set_on_every_cursor():
    """DuckDB refuses a temporary directory once it has spilled: limits are given when the connection is opened."""
    output = yaml.safe_load((PROJECT / "profiles.yml").read_text())["mainbank"]["outputs"]["warehouse"]
    assert set(output["settings"]) == {"TimeZone"}
    assert set(output["config_options"]) == {"memory_limit", "threads", "temp_directory", "max_temp_directory_size"}
