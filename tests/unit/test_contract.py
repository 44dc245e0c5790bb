"""The contract says each thing once, and everything made from it agrees with it."""

from __future__ import annotations

import duckdb
import pytest
import yaml

from warehouse.contract import load_contract, raw_ddl
from warehouse.contract.generate import dbt_sources_yaml, drifted_files
from warehouse.contract.model import DELIVERY_COLUMNS
from warehouse.errors import UserError

NEEDED = {"branches", "products", "customers", "accounts", "transactions"}


def test_what_is_generated_reads_as_the_contract_says():
    assert drifted_files() == [], "run: make generate"


def test_five_tables_are_needed_to_start():
    assert {table.name for table in load_contract().tables.values() if table.needed} == NEEDED


@pytest.mark.parametrize("table", load_contract().tables.values(), ids=lambda table: table.name)
def test_source_system_is_part_of_every_key(table):
    assert table.key[0] == "source_system"
    assert len(table.key) == len(set(table.key))


@pytest.mark.parametrize("table", load_contract().tables.values(), ids=lambda table: table.name)
def test_raw_ddl_makes_exactly_the_raw_columns(table):
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        connection.execute(raw_ddl(table))
        found = connection.execute(f"describe raw.{table.name}").fetchall()
    assert [(name, kind) for name, kind, *_ in found] == [(column.name, column.type) for column in table.raw_columns]


def test_an_identifying_column_is_in_raw_only_as_its_token():
    for table in load_contract().tables.values():
        names = {column.name for column in table.raw_columns}
        for column in table.columns:
            if column.is_identifying:
                assert column.name not in names
                assert f"{column.name}_token" in names


def test_names_and_numbers_of_people_are_classed_as_direct_identifiers():
    customers = load_contract().tables["customers"]
    direct = {column.name for column in customers.columns if column.personal_data == "direct_identifier"}
    assert direct == {"name", "id_number", "mobile", "email", "address"}
    assert load_contract().tables["transactions"].column("counterparty_account").is_identifying


def test_tables_of_a_customer_carry_the_record_id():
    carrying = {
        table.name
        for table in load_contract().tables.values()
        if any(column.name == "record_id" for column in table.raw_columns)
    }
    assert carrying == {
        "customers", "accounts", "account_holders", "complaints", "relationship_assignments", "contacts",
        "survey_responses", "campaign_contacts", "customer_relationships", "crm_stated_assets",
    }  # fmt: skip


def test_dbt_sources_give_each_raw_table_its_columns_meaning_and_class():
    contract = load_contract()
    source = yaml.safe_load(dbt_sources_yaml(contract))["sources"][0]
    assert (source["name"], source["schema"]) == ("raw", "raw")
    tables = {table["name"]: table for table in source["tables"]}
    assert set(tables) == {*contract.tables, "person_records", "person_merges"}
    for name, table in contract.tables.items():
        columns = {column["name"]: column for column in tables[name]["columns"]}
        assert list(columns) == [column.name for column in table.raw_columns]
        for column in table.raw_columns:
            assert columns[column.name]["description"].count(" | ") == 1
            assert columns[column.name]["config"]["meta"]["personal_data"] == column.personal_data
    delivered = [column["name"] for column in tables["transactions"]["columns"]][-len(DELIVERY_COLUMNS) :]
    assert delivered == [column.name for column in DELIVERY_COLUMNS]


TABLE = """
table: visits
meaning: {en: "Visits.", zh: "访问。"}
key: [source_system, visit_id]
columns:
  source_system: {type: VARCHAR, required: true, en: "System.", zh: "系统。"}
  visit_id: {type: VARCHAR, required: true, en: "Id.", zh: "编号。"}
  place: {type: VARCHAR, en: "Place.", zh: "地点。"}
"""


def test_a_further_table_is_one_more_file(tmp_path):
    (tmp_path / "visits.yml").write_text(TABLE, encoding="utf-8")
    table = load_contract(tmp_path).tables["visits"]
    assert table.column_names == ("source_system", "visit_id", "place")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("key: [source_system, visit_id]", "key: [source_system, visitid]", "line 4: key[1]"),
        ('type: VARCHAR, en: "Place."', 'type: STRUCT, en: "Place."', "line 8: columns.place.type"),
        ('zh: "地点。"', 'zh: "地点"', "columns.place"),
        ("  place:", "  visit_id:", "this key stands twice"),
        ("  place:", "  Place:", "lower-case"),
        ("columns:\n", "references:\n  - {columns: [place], table: places}\ncolumns:\n", "no such contract table"),
    ],
)
def test_a_faulty_contract_file_is_refused_with_its_place(tmp_path, old, new, said):
    assert old in TABLE
    (tmp_path / "visits.yml").write_text(TABLE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        load_contract(tmp_path)
    assert said in str(refused.value)
    assert "visits.yml" in str(refused.value)
