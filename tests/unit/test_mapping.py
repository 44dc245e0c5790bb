"""A mapping says what it means or is refused with file, line, what was found and what would be valid."""

from __future__ import annotations

import duckdb
import pytest
from small_bank import FILES, MAPPING, SETTINGS, write_bank, write_data

from warehouse.errors import UserError
from warehouse.sources.bank import load_bank
from warehouse.sources.expressions import ExpressionError, parse_expression
from warehouse.sources.mapping import MappingError, load_mapping
from warehouse.sources.specification import SourceColumn, typed_expression
from warehouse.sources.validation import check_mapping


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def refusal(tmp_path, old: str, new: str, times: int = 1) -> UserError:
    assert old in MAPPING
    changed = MAPPING.replace(old, new, times)
    with pytest.raises(UserError) as refused:
        load_mapping(write_bank(tmp_path / "bank", changed))
    return refused.value


def test_a_fitting_mapping_loads(tmp_path):
    bank = load_bank(write_bank(tmp_path / "bank"))
    assert bank.name == "small"
    assert set(bank.mapping.tables) == {"branches", "products", "customers", "accounts", "transactions"}
    assert bank.settings.time_zone == "Asia/Shanghai"


FAULTS = {
    "unknown table": ("  branches:\n", "  branchs:\n", "tables.branchs", "branches"),
    "unknown source": ("- from: branch\n", "- from: brunch\n", "tables.branches[0].from", "branch"),
    "unknown source column": ("name: town", "name: twon", "tables.branches[0].columns.name", "town"),
    "unknown code table": (
        "{code: sex, of: sex}",
        "{code: sexes, of: sex}",
        "tables.customers[0].columns.gender.code",
        "sex",
    ),
    "unknown contract code": ("F: female", "F: feminine", "codes.sex.F", "female"),
    "unknown key column": ("key: [branch_id]", "key: [branchid]", "sources.branch.key[0]", "branch_id"),
    "unknown key of a field": ("    record: person_id", "    recrod: person_id", "sources.person.recrod", "record"),
    "unknown lookup": ("owner.branch_id", "ower.branch_id", "tables.accounts[0].columns.branch_id", "owner"),
    "unknown lookup column": (
        "owner.branch_id",
        "owner.branchid",
        "tables.accounts[0].columns.branch_id",
        "branch_id",
    ),
    "unknown lookup source": ("{source: person,", "{source: persons,", "lookups.owner.source", "person"),
    "unknown lookup join column": ("on: {person_id:", "on: {personid:", "lookups.owner.on.personid", "person_id"),
    "unknown type": ('income: {type: "DECIMAL(18,2)"', "income: {type: MONEY", "income.type", "DECIMAL"),
    "unknown class": ("personal_data: sensitive", "personal_data: secret", "income.personal_data", "sensitive"),
    "bad expression": ("name: town", 'name: "town ||"', "tables.branches[0].columns.name", ""),
    "a query for an expression": ("name: town", 'name: "(select 1)"', "columns.name", "scalar functions"),
    "an aggregate": ("name: town", "name: max(town)", "columns.name", "several rows"),
    "a window": ("name: town", "name: first(town) over ()", "columns.name", "window"),
    "the clock": ("joined_on\n", "today()\n", "columns.registered_on", "clock"),
    "a function that does not exist": ("name: town", "name: uper(town)", "columns.name", "upper"),
    "text for a date": ("registered_on: joined_on", "registered_on: sex", "columns.registered_on", "cast"),
    "a day for a point in time": (
        "posted_at: bank_time_to_utc(booked_at)",
        "posted_at: cast(booked_at as date)",
        "columns.posted_at",
        "bank_time_to_utc",
    ),
    "a condition that is none": (
        "    known_on: opened_on",
        "    known_on: opened_on\n    where: kind",
        "sources.contract.where",
        "BOOLEAN",
    ),
    "a known date that is none": ("known_on: opened_on", "known_on: kind", "sources.contract.known_on", "DATE"),
    "a required contract column left out": (
        "        currency: \"'CNY'\"\n        opened_on: opened_on",
        "        opened_on: opened_on",
        "tables.accounts[0]",
        "currency",
    ),
    "a needed contract table left out": (
        "  branches:\n    - from: branch\n      columns:\n        branch_id: branch_id\n        name: town\n"
        "        city: town\n",
        "",
        "tables",
        "branch_id",
    ),
    "a constant that is not in the contract": ("deposit_term", "deposit_long", "rows[1].category", "deposit_term"),
    "a constant of another type": ("term_days: 365", "term_days: long", "rows[1].term_days", "INTEGER"),
    "a range that is no number": (
        "share_of: {type: DOUBLE}",
        "share_of: {type: DOUBLE, minimum: few}",
        "share_of.minimum",
        "DOUBLE",
    ),
    "a name for an identifying column": (
        "full_name: {personal_data: direct_identifier}",
        "full_name: {}",
        "tables.customers[0].columns.name",
        "direct_identifier",
    ),
    "an expression over an identifying column": (
        "name: full_name",
        "name: upper(full_name)",
        "tables.customers[0].columns.name",
        "bare name",
    ),
    "an identifying column in a condition": (
        "    - from: posting\n",
        "    - from: posting\n      where: other_side = '1'\n",
        "tables.transactions[0].where",
        "token",
    ),
    "a sensitive column in an open one": (
        "registered_branch_id: branch_id",
        "registered_branch_id: income",
        "columns.registered_branch_id",
        "sensitive",
    ),
    "a customer's column that is not classed at its source": (
        'income: {type: "DECIMAL(18,2)", personal_data: sensitive}',
        'income: {type: "DECIMAL(18,2)"}',
        "tables.customers[0].columns.annual_income",
        "personal_data: sensitive",
    ),
    "a bare copy under derive": (
        'initial: {expression: "left(full_name, 1)", type: VARCHAR}',
        "initial: full_name",
        "sources.person.derive.initial",
        "direct_identifier",
    ),
    "customers without a record": ("    record: person_id\n", "", "columns.source_customer_id", "record"),
    "customers' data as constants": (
        "  customers:\n    - from: person",
        "  customers:\n    - rows: [{source_customer_id: '1', party_type: personal}]\n    - from: person",
        "tables.customers[0].rows",
        "never written into a mapping",
    ),
    "two columns told apart by case only": (
        "      town: {}\n",
        "      town: {}\n      TOWN: {}\n",
        "sources.branch.columns",
        "upper and lower case",
    ),
    "a name that landing uses": ("      town: {}\n", "      town: {}\n      record_id: {}\n", "columns", "taken"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_what_does_not_fit_is_refused_with_its_place_and_what_would_be_valid(tmp_path, fault):
    old, new, path, valid = fault
    error = refusal(tmp_path, old, new)
    text = str(error)
    assert "mapping.yml, line " in text
    assert path in text
    assert valid in text


def test_the_line_named_is_the_line_of_the_key(tmp_path):
    error = refusal(tmp_path, "name: town", "name: twon")
    assert error.where is not None
    assert f"line {line_of(MAPPING, 'name: town')}:" in error.where
    assert "'twon'" in str(error)


def test_a_column_the_contract_does_not_have_is_refused_with_the_closest_name(tmp_path):
    error = refusal(tmp_path, "        city: town", "        ciyt: town")
    assert error.valid is not None
    assert error.valid.startswith("city")


def test_an_identifying_column_may_not_feed_an_open_one(tmp_path):
    error = refusal(tmp_path, "registered_branch_id: branch_id", "registered_branch_id: full_name")
    assert "is not identifying and may not read full_name" in str(error)
    assert "derive" in str(error)


def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path):
    error = refusal(tmp_path, "  person:\n", "  branch:\n")
    assert "stands twice" in str(error)
    assert f"first in line {line_of(MAPPING, '  branch:')}" in str(error)


def test_every_problem_is_listed_at_once(tmp_path):
    changed = MAPPING.replace("name: town", "name: twon").replace("owner.branch_id", "owner.branchid")
    with pytest.raises(MappingError) as refused:
        load_mapping(write_bank(tmp_path / "bank", changed))
    assert len(refused.value.problems) == 2


def test_plain_on_and_no_are_text_and_not_truth_values(tmp_path):
    changed = MAPPING.replace("{F: female, M: male}", "{NO: female, on: male, 01: other, ~: other}")
    assert dict(load_mapping(write_bank(tmp_path / "bank", changed)).codes["sex"]) == {
        "NO": "female",
        "on": "male",
        "01": "other",
        None: "other",
    }


@pytest.mark.parametrize(
    "text", ["", "a: [", "- a", "a: &a [*a]", "[" * 3000, "bank: x\nsources: 1\ntables: {}", "\x00"]
)
def test_a_file_that_is_no_mapping_is_refused_with_its_name(tmp_path, text):
    with pytest.raises(UserError) as refused:
        load_mapping(write_bank(tmp_path / "bank", text))
    assert "mapping.yml" in str(refused.value)


def test_a_bank_like_another_reads_its_files_in_the_same_way_under_its_own_name(tmp_path):
    write_bank(tmp_path / "bank")
    other = write_bank(tmp_path / "other", "bank: other\nlike: ../bank/mapping.yml\n")
    bank = load_bank(other)
    assert bank.name == "other"
    assert bank.folder == other
    assert bank.mapping.table_hash != load_mapping(tmp_path / "bank").table_hash
    assert bank.mapping.sources == load_mapping(tmp_path / "bank").sources


@pytest.mark.parametrize("like", ["../missing.yml", "mapping.yml", "../third/mapping.yml"])
def test_a_bank_is_like_a_whole_mapping_that_exists(tmp_path, like):
    write_bank(tmp_path / "third", "bank: third\nlike: ../other/mapping.yml\n")
    other = write_bank(tmp_path / "other", f"bank: other\nlike: {like}\n")
    with pytest.raises(UserError, match="there is no such mapping"):
        load_bank(other)


def test_an_unknown_bank_is_refused_with_the_shipped_ones():
    with pytest.raises(UserError) as refused:
        load_bank("berca")
    assert "berka" in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("environment: demonstration", "environment: test", "demonstration"),
        ("base_currency: CNY", "base_currency: yuan", "ISO 4217"),
        ("Asia/Shanghai", "Asia/Shangai", "IANA"),
        ("source_system: core", "source_system: crm", "core"),
        ("maximum_share: 0.5", "maximum_share: 5", "from 0 to 1"),
        ("kept: 3", "kept: 0", "at least 1"),
        ("memory_limit: 1GB", "memory_limit: lots", "4GB"),
        ("resources:", "resorces:", "resources"),
        ("threads: 2}", "threads: 2, cores: 4}", "threads"),
    ],
)
def test_a_setting_that_is_not_valid_is_refused_with_what_would_be(tmp_path, old, new, said):
    assert old in SETTINGS
    folder = write_bank(tmp_path / "bank", settings=SETTINGS.replace(old, new))
    with pytest.raises(UserError) as refused:
        load_bank(folder)
    assert said in str(refused.value)
    assert "bank.yml" in str(refused.value)


def test_a_bank_without_settings_is_refused(tmp_path):
    folder = write_bank(tmp_path / "bank")
    (folder / "bank.yml").unlink()
    with pytest.raises(UserError, match="needs its settings"):
        load_bank(folder)


READINGS = [
    ("BIGINT", None, "42", "42"),
    ("BIGINT", None, " -7 ", "-7"),
    ("BIGINT", None, "1.5", None),
    ("BIGINT", None, "1e3", None),
    ("BIGINT", None, "1_0", None),
    ("BIGINT", None, "99999999999999999999", None),
    ("DECIMAL(18,2)", None, "8033.00", "8033.00"),
    ("DECIMAL(18,2)", None, ".5", "0.50"),
    ("DECIMAL(18,2)", None, "1.500", "1.50"),
    ("DECIMAL(18,2)", None, "1.505", None),
    ("DECIMAL(18,2)", None, "1,000.00", None),
    ("DECIMAL(18,2)", None, "99999999999999999.00", None),
    ("DOUBLE", None, "1e3", "1000.0"),
    ("DOUBLE", None, "NaN", None),
    ("DOUBLE", None, "Infinity", None),
    ("DATE", None, "2021-02-28", "2021-02-28"),
    ("DATE", None, "2021-02-29", None),
    ("DATE", None, "2021-02-28 10:00:00", None),
    ("DATE", None, "epoch", None),
    ("DATE", "%y%m%d", "930101", "1993-01-01"),
    ("DATE", "%y%m%d", "931301", None),
    ("DATE", "%y%m%d 00:00:00", "931107 00:00:00", "1993-11-07"),
    ("TIMESTAMP", None, "2021-02-28T10:00:00", "2021-02-28 10:00:00"),
    ("TIMESTAMP", None, "2021-02-28 10:00:00+08:00", None),
    ("BOOLEAN", None, "true", "true"),
    ("BOOLEAN", None, "perhaps", None),
    ("VARCHAR", None, " x ", " x "),
    ("VARCHAR", None, "", None),
    ("VARCHAR", None, "?", None),
]


@pytest.mark.parametrize(("kind", "form", "text", "read"), READINGS)
def test_text_is_read_as_declared_and_never_bent_into_its_type(kind, form, text, read):
    column = SourceColumn("value", kind, format=form, null_values=("", "?"))
    with duckdb.connect() as connection:
        row = connection.execute(
            f"select cast({typed_expression(column, True)} as varchar) from (select cast(? as varchar) as value)",
            [text],
        ).fetchone()
    assert row == (read,)


def test_an_expression_tells_what_it_reads():
    with duckdb.connect() as connection:
        parsed = parse_expression(connection, "case when a > 1 then lower(owner.b) else a::varchar end -- why")
    assert parsed.references == (("a",), ("owner", "b"))
    assert not parsed.is_bare


@pytest.mark.parametrize(
    "text", ["a, b", "a from t", "a; drop table t", "*", "a as b", "(select 1)", "", "sum(a) over ()"]
)
def test_what_is_not_one_expression_over_one_row_is_refused(text):
    with duckdb.connect() as connection, pytest.raises(ExpressionError):
        parse_expression(connection, text)


def test_the_landing_hash_changes_with_what_is_landed_and_not_with_where_the_file_lies(tmp_path):
    def hashes(mapping: str) -> tuple[str, str]:
        loaded = load_mapping(write_bank(tmp_path / "bank", mapping))
        return loaded.sources["contract"].landing_hash, loaded.table_hash

    before = hashes(MAPPING)
    assert hashes(MAPPING.replace("file: contract.csv", "file: '*/contract.csv'")) == before
    stricter = hashes(MAPPING.replace("share_of: {type: DOUBLE}", "share_of: {type: DOUBLE, minimum: 0}"))
    assert stricter[0] != before[0]
    assert stricter[1] == before[1]
    assert hashes(MAPPING.replace("S: salary", "S: transfer")) == (
        before[0],
        hashes(MAPPING.replace("S: salary", "S: transfer"))[1],
    )
    assert hashes(MAPPING.replace("S: salary", "S: transfer"))[1] != before[1]
    assert hashes(MAPPING + "# a remark\n") == before


def test_check_says_what_fits_what_is_missing_and_what_it_will_do(tmp_path):
    bank = load_bank(write_bank(tmp_path / "bank"))
    lines = check_mapping(bank, write_data(tmp_path / "data"))
    said = {(line.status, line.where) for line in lines}
    assert ("fits", "tables.accounts") in said
    assert ("missing", "tables.loan_status") in said
    assert any(line.status == "does" and "full_name" in line.what for line in lines)
    assert not [line for line in lines if line.status == "error"]


def test_check_compares_the_files_with_the_declared_columns(tmp_path):
    bank = load_bank(write_bank(tmp_path / "bank"))
    files = FILES | {"branch.csv": "branch_id,city,phone\n1,Hangzhou,1\n"}
    del files["posting.csv"]
    lines = check_mapping(bank, write_data(tmp_path / "data", files))
    errors = {line.where: line.what for line in lines if line.status == "error"}
    assert set(errors) == {"sources.branch", "sources.posting"}
    assert "town" in errors["sources.branch"]
    assert "posting.csv" in errors["sources.posting"]
    assert any("goes to the vault whole: city, phone" in line.what for line in lines)
