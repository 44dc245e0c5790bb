"""What is made from the contract: dbt's sources and the page for people. `--check` says whether they are current.

python -m warehouse.contract.generate [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from warehouse.contract.model import (
    DELIVERY_COLUMNS,
    PERSON_MERGES,
    PERSON_RECORDS,
    Column,
    Contract,
    Table,
    load_contract,
)

REPOSITORY = Path(__file__).resolve().parents[2]
DBT_SOURCES = Path("dbt/models/staging/_sources.yml")
CONTRACT_PAGE = Path("docs/source_contract.md")
_MADE = "Made by `make generate` from warehouse/contract/; change it there."


def dbt_sources_yaml(contract: Contract) -> str:
    """YAML of the dbt source `raw`: every raw table and column with its meaning and class of personal data."""
    lines = [
        f"# {_MADE}",
        "version: 2",
        "",
        "sources:",
        "  - name: raw",
        "    schema: raw",
        "    description: " + _quoted("Deliveries under the names of the source contract. | 按源契约登记的数据。"),
        "    tables:",
    ]
    made = (PERSON_RECORDS, PERSON_MERGES)
    for table in (*contract.tables.values(), *made):
        columns = table.columns if table in made else table.raw_columns
        lines += [
            f"      - name: {table.name}",
            f"        description: {_quoted(table.meaning.both)}",
            "        columns:",
        ]
        for column in columns:
            lines += [
                f"          - name: {column.name}",
                f"            description: {_quoted(column.meaning.both)}",
                f"            data_type: {_quoted(column.type)}",
                f"            config: {{meta: {{personal_data: {column.personal_data}}}}}",
            ]
    return "\n".join(lines) + "\n"


def data_dictionary(contract: Contract) -> str:
    """The source contract as a Markdown page: each table with its columns, rules, classes and meaning."""
    lines = [
        "# The source contract",
        "",
        f"<!-- {_MADE} -->",
        "",
        "What a bank can bring. A mapping file (`mapping.yml`) says where each table comes from and",
        "`mainbank sources check` how it fits. Tables marked **needed** must be mapped; every other one exists, typed",
        "and empty, until it is. Amounts are signed from the customer's side: money in is positive. Columns of the",
        "classes `direct_identifier` and `free_text` never enter the warehouse: their values go to the vault, and",
        "`<column>_token` (a keyed hash) stays.",
        "",
        "| table | key | cursor | meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| [{table.name}](#{table.name}){' **needed**' if table.needed else ''} | {', '.join(table.key)} "
        f"| {table.cursor or ''} | {_cell(table.meaning.en)}<br>{_cell(table.meaning.zh)} |"
        for table in contract.tables.values()
    ]
    for table in contract.tables.values():
        lines += ["", f"## {table.name}", "", f"{table.meaning.en} {table.meaning.zh}", ""]
        lines += _facts(table)
        lines += ["| column | type | rule | personal data | meaning |", "|---|---|---|---|---|"]
        lines += [_row(table, column) for column in table.columns]
    lines += [
        "",
        "## Added to every raw table",
        "",
        "Tables of a customer also carry `record_id`, the keyed hash of the customer's source system and source id.",
        "",
        "| column | type | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| {column.name} | {column.type} | {_cell(column.meaning.en)}<br>{_cell(column.meaning.zh)} |"
        for column in DELIVERY_COLUMNS
    ]
    return "\n".join(lines) + "\n"


def generated_files(contract: Contract) -> dict[Path, str]:
    """Every generated file, by its path in the repository, as it should read."""
    return {DBT_SOURCES: dbt_sources_yaml(contract), CONTRACT_PAGE: data_dictionary(contract)}


def drifted_files(root: Path = REPOSITORY) -> list[Path]:
    """Generated files of a repository that do not read as the contract says."""
    wanted = generated_files(load_contract())
    return [
        path
        for path, text in wanted.items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Write the generated files, or with `--check` only say which are not current (exit code 1)."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write(f"no such argument: {' '.join(arguments)}; valid: --check\n")
        return 2
    drifted = drifted_files()
    if arguments:
        for path in drifted:
            sys.stderr.write(f"{path} does not read as the contract says; run: make generate\n")
        return 1 if drifted else 0
    wanted = generated_files(load_contract())
    for path in drifted:
        (REPOSITORY / path).parent.mkdir(parents=True, exist_ok=True)
        (REPOSITORY / path).write_text(wanted[path], encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


def _facts(table: Table) -> list[str]:
    facts = [f"- key: {', '.join(table.key)}"]
    facts += [f"- cursor: {table.cursor}"] if table.cursor else []
    facts += [
        f"- {', '.join(reference.columns)} → [{reference.table}](#{reference.table})" for reference in table.references
    ]
    facts += ["- belongs to a customer"] if table.belongs_to_customer else []
    return [*facts, ""]


def _row(table: Table, column: Column) -> str:
    rules = ["key"] if column.name in table.key else []
    rules += ["required"] if column.required and column.name not in table.key else []
    rules += ["one of " + ", ".join(column.values)] if column.values else []
    rules += [f"at least {column.minimum}"] if column.minimum is not None else []
    rules += [f"at most {column.maximum}"] if column.maximum is not None else []
    personal_data = "" if column.personal_data == "none" else column.personal_data
    meaning = f"{_cell(column.meaning.en)}<br>{_cell(column.meaning.zh)}"
    return f"| {column.name} | {column.type} | {_cell('; '.join(rules))} | {personal_data} | {meaning} |"


def _quoted(text: str) -> str:
    # A JSON string is a YAML double-quoted scalar.
    return json.dumps(text, ensure_ascii=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
