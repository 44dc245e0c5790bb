"""The tables of schema ``meta``: what a release says about itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any

import duckdb
import pyarrow as pa

from dagster_project.lib import dbt
from dagster_project.lib.build import Build, reading
from dagster_project.lib.overrides import settings_in_force
from warehouse.freshness import Freshness, freshness, stops
from warehouse.home import Home
from warehouse.ledger import LedgerEntry, in_force, read_ledger
from warehouse.quarantine import summarise
from warehouse.reconciliation import Reconciliation, reconciliations
from warehouse.release import PUBLIC_SCHEMAS, STORAGE_VERSION, MetaTable
from warehouse.sources.bank import Bank
from warehouse.sources.specification import quote_name


def split_meaning(description: str) -> tuple[str, str]:
    """English and Chinese part of a description.

    Examples
    --------
    >>> split_meaning("Balance at the end. | 期末余额。")
    ('Balance at the end.', '期末余额。')
    """
    english, _, chinese = description.partition(" | ")
    return english.strip(), chinese.strip()


def data_dictionary(
    manifest: Mapping[str, Any],
    columns: Sequence[tuple[str, str, str, int, str]],
    meta_tables: Mapping[str, MetaTable],
) -> MetaTable:
    """Every public column with its meaning.

    Parameters
    ----------
    manifest : mapping
        dbt's manifest: descriptions, grain and additivity of the models.
    columns : sequence of (schema, table, column, position, type)
        The public columns that are in the warehouse.
    meta_tables : mapping of str to MetaTable
        The tables of schema ``meta``, which dbt does not know.
    """
    models = {
        (node["schema"], node["alias"] or node["name"]): node
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed")
    }
    rows: list[tuple[Any, ...]] = []
    for schema, table, column, position, data_type in columns:
        if schema not in PUBLIC_SCHEMAS:
            continue
        node = models.get((schema, table), {})
        described = node.get("columns", {}).get(column, {})
        settings = {**described.get("meta", {}), **described.get("config", {}).get("meta", {})}
        grain = {**node.get("meta", {}), **node.get("config", {}).get("meta", {})}.get("grain")
        rows.append(
            (
                schema,
                table,
                column,
                position,
                data_type,
                *split_meaning(described.get("description", "")),
                settings.get("additivity"),
                ", ".join(grain) if isinstance(grain, list) else grain,
            )
        )
    for table, content in meta_tables.items():
        for position, field in enumerate(content.frame.schema, start=1):
            rows.append(
                (
                    "meta",
                    table,
                    field.name,
                    position,
                    None,
                    *split_meaning(content.columns.get(field.name, "")),
                    None,
                    None,
                )
            )
    names = {
        "schema_name": "Schema. | 模式。",
        "table_name": "Table. | 表。",
        "column_name": "Column. | 列。",
        "position": "Place of the column, from 1. | 列序号。",
        "data_type": "Type in DuckDB; absent for the tables of meta. | 数据类型。",
        "meaning_en": "Meaning in English. | 英文含义。",
        "meaning_zh": "Meaning in Chinese. | 中文含义。",
        "additivity": "Whether the measure adds up: additive, semi-additive (not over time), non-additive. | 可加性。",
        "grain": "What one row of the table is. | 粒度。",
    }
    types = [pa.string(), pa.string(), pa.string(), pa.int32(), *[pa.string()] * 5]
    return MetaTable(
        table_of(names, types, rows), "Every public column with its meaning. | 数据字典：全部公开字段及其含义。", names
    )


def table_of(names: Mapping[str, str], types: Sequence[pa.DataType], rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows as an Arrow table with typed columns, so that an empty one has its types too."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pa.table(
        [pa.array(list(values), kind) for values, kind in zip(columns, types, strict=True)], names=list(names)
    )


def release_row(values: Mapping[str, str | date | datetime | None]) -> MetaTable:
    """The one row that says which release this is."""
    names = {
        "release_id": "Name of the release: as-of date and number. | 发布编号。",
        "bank": "Name of the bank's mapping. | 银行（映射）名称。",
        "bank_name_en": "The bank's name in English. | 银行英文名称。",
        "bank_name_zh": "The bank's name in Chinese. | 银行中文名称。",
        "environment": "demonstration or production. | 环境。",
        "as_of": "Business date up to which everything is known. | 数据截止日。",
        "created_at": "Clock time of making, UTC. | 生成时间（UTC）。",
        "base_currency": "Currency of all _base columns. | 本位币。",
        "time_zone": "The bank's time zone, in which dates are business dates. | 银行时区。",
        "build_fingerprint": "Hash of mapping, contract, settings and models. | 构建指纹。",
        "mapping_hash": "Hash of the mapping. | 映射哈希。",
        "mainbank_version": "Version of the software. | 软件版本。",
        "duckdb_version": "Version of DuckDB that wrote the file. | DuckDB版本。",
        "storage_version": "Storage format: any driver from this version on can read it. | 存储格式版本。",
        "dagster_run_id": "The run that made it. | Dagster运行编号。",
    }
    kinds = [
        pa.date32() if name == "as_of" else pa.timestamp("us") if name == "created_at" else pa.string()
        for name in names
    ]
    return MetaTable(
        table_of(names, kinds, [tuple(values[name] for name in names)]),
        "Which release this is and what made it. | 本次发布的说明。",
        names,
    )


def settings_table(rows: Sequence[tuple[str, str, str, str]]) -> MetaTable:
    """What was in force: (setting, value, origin, file)."""
    names = {
        "setting": "Name of the setting. | 设置名称。",
        "value": "Value in force. | 生效值。",
        "origin": "bank: of bank.yml; shipped: with the software; override: the bank's own instead. | 来源。",
        "file": "The file it stands in. | 所在文件。",
    }
    return MetaTable(
        table_of(names, [pa.string()] * 4, rows),
        "The settings in force for this release. | 本次发布的生效设置。",
        names,
    )


def delivery_table(entries: Sequence[LedgerEntry]) -> MetaTable:
    """The ledger: one row per delivery in force."""
    names = {
        "delivery_id": "Delivery. | 交付编号。",
        "source_system": "Source system. | 来源系统。",
        "source": "Source table or file of the mapping. | 来源表。",
        "file_name": "File as delivered. | 文件名。",
        "operation": "Whether it brings rows (upsert) or deletes them. | 新增或变更（upsert）或删除。",
        "known_on": "Business date of the delivery; absent for the first, historic load. | 业务已知日期。",
        "known_from": "Earliest date on which a row of it is known. | 最早已知日期。",
        "known_to": "Latest date on which a row of it is known. | 最晚已知日期。",
        "rows_read": "Physical records, counted apart. | 读取行数。",
        "rows_landed": "Rows landed. | 接收行数。",
        "rows_quarantined": "Rows in quarantine. | 隔离行数。",
        "rows_filtered": "Rows the mapping leaves out. | 过滤行数。",
        "rows_erased": "Rows of persons who were erased. | 因客户信息删除而移除的行数。",
        "rows_unchanged": "Rows landed before and unchanged: overlap of extracts. | 此前已接收且未变化的行数。",
        "landed_at": "Clock time of landing, UTC. | 接收时间（UTC）。",
    }
    kinds = [
        pa.date32()
        if name.startswith("known_")
        else pa.int64()
        if name.startswith("rows_")
        else pa.timestamp("us")
        if name.endswith("_at")
        else pa.string()
        for name in names
    ]
    rows = [
        (
            entry.delivery_id,
            entry.source_system,
            entry.source,
            entry.file,
            entry.operation,
            entry.known_on,
            entry.known_from,
            entry.known_to,
            entry.rows_read,
            entry.rows_landed,
            entry.rows_quarantined,
            entry.rows_filtered,
            entry.rows_erased,
            entry.rows_unchanged,
            entry.landed_at.replace(tzinfo=None),
        )
        for entry in entries
    ]
    return MetaTable(
        table_of(names, kinds, rows), "The deliveries this release is made from. | 本次发布所用的数据交付。", names
    )


def freshness_table(found: Sequence[Freshness]) -> MetaTable:
    """How fresh each source is: one row per source and contract table that it feeds."""
    names = {
        "source": "Source of the mapping. | 来源表。",
        "source_system": "Source system. | 来源系统。",
        "table_name": "Contract table that it feeds; absent if none. | 对应的标准表。",
        "row_count": "Rows landed in all, each version and deletion of a row. | 累计接收行数，含各版本与删除。",
        "last_delivery_on": "Date of the last delivery; absent after an initial load only. | 最近交付日。",
        "last_known_on": "Last date on which a row of it was known. | 最近已知日期。",
        "watermark": "Where the next extract of a database begins, less its overlap. | 增量水位。",
        "behind_days": "Days behind the freshest source of the bank. | 落后于最新来源的天数。",
        "is_stopped": "Whether it stands still: its columns are not those mapped. | 是否因字段变化而停止。",
        "stale_since": "Of a stopped one, the date of what was landed last. | 停止后数据所停留的日期。",
        "reason_en": "Of a stopped one, expected and found. | 停止原因（英文）。",
        "reason_zh": "The same in Chinese. | 停止原因（中文）。",
    }
    kinds = [
        pa.date32()
        if name.startswith("last_") or name == "stale_since"
        else pa.int64()
        if name in ("row_count", "behind_days")
        else pa.bool_()
        if name.startswith("is_")
        else pa.string()
        for name in names
    ]
    rows = [
        (
            item.source,
            item.source_system,
            table,
            item.rows,
            item.last_delivery_on,
            item.last_known_on,
            item.watermark,
            item.behind_days,
            item.stop is not None,
            item.stop.stale_since if item.stop else None,
            item.stop.reason_en if item.stop else None,
            item.stop.reason_zh if item.stop else None,
        )
        for item in found
        for table in (item.tables or (None,))
    ]
    return MetaTable(
        table_of(names, kinds, rows),
        "How fresh each source is, and which stand still. | 各来源的新鲜度与停止状态。",
        names,
    )


def reconciliation_table(found: Sequence[Reconciliation]) -> MetaTable:
    """What the sources say they hold against what was landed: one row per source, and one per day that differs."""
    names = {
        "source": "Source of the mapping. | 来源表。",
        "day": "Day that differs; absent in the row of all days. | 存在差异的日期；汇总行为空。",
        "days": "Days compared. | 比对天数。",
        "rows_source": "Rows at the source. | 来源行数。",
        "rows_landed": "Rows landed, last versions, not deleted. | 已接收行数。",
        "amount_source": "Sum at the source, as text. | 来源金额合计。",
        "amount_landed": "Sum of what was landed, as text. | 已接收金额合计。",
        "is_equal": "Whether rows and sums agree. | 是否一致。",
    }
    kinds = [*[pa.string()] * 2, *[pa.int64()] * 3, *[pa.string()] * 2, pa.bool_()]
    rows: list[tuple[Any, ...]] = []
    for item in found:
        rows.append(
            (
                item.source,
                None,
                item.days,
                item.rows_source,
                item.rows_landed,
                item.amount_source,
                item.amount_landed,
                item.is_equal,
            )
        )
        rows += [
            (item.source, day.day, 1, day.rows_source, day.rows_landed, day.amount_source, day.amount_landed, False)
            for day in item.differing_days
        ]
    return MetaTable(
        table_of(names, kinds, rows), "Sources against landing, by day. | 与来源系统逐日核对的结果。", names
    )


def quality_table(rows: Sequence[tuple[Any, ...]]) -> MetaTable:
    """What was checked and what was found."""
    names = {
        "rule": "What must hold. | 规则。",
        "layer": "Where it is checked: landing, registration, model, test. | 层。",
        "subject": "Table or file it is about. | 对象。",
        "severity": "error: figures are wrong; warning: figures may suffer; info: only counted. | 严重程度。",
        "checked_count": "Rows looked at; absent where not counted. | 检查行数。",
        "failing_count": "Rows that do not hold. | 不合格行数。",
        "endangers": "The table whose figures suffer, where the rule says so. | 受影响的表。",
        "detail_en": "More in words; personal data masked. | 英文说明（个人信息已脱敏）。",
        "detail_zh": "The same in Chinese, where the rule has it. | 中文说明。",
    }
    kinds = [*[pa.string()] * 4, pa.int64(), pa.int64(), *[pa.string()] * 3]
    return MetaTable(
        table_of(names, kinds, sorted(rows, key=lambda row: json.dumps(row, default=str))),
        "What was checked on the way into this release, and what was found. | 数据质量检查结果。",
        names,
    )


def now() -> datetime:
    """Clock time in UTC without a zone, as timestamps are stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def flatten(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Fields of nested dataclasses as (dotted name, text).

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Release:
    ...     kept: int
    >>> flatten(Release(14), "release")
    [('release.kept', '14')]
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [
            row
            for field in dataclasses.fields(value)
            for row in flatten(getattr(value, field.name), f"{prefix}.{field.name}".lstrip("."))
        ]
    return [(prefix, str(value))]


def meta_tables(build: Build, bank: Bank, home: Home, release_id: str, run_id: str) -> dict[str, MetaTable]:
    """All tables of schema ``meta`` of a release about to be staged."""
    entries = in_force(read_ledger(home.landing, bank.name))
    manifest = dbt.load_manifest()
    with reading(build, bank) as connection:
        columns = connection.execute(
            "select schema_name, table_name, column_name, column_index, data_type from duckdb_columns() order by all"
        ).fetchall()
        seeded = settings_in_force(connection)
        quality = [*_quality_rows(connection, home, bank, entries), *_empty_tables(connection, build, manifest)]
        fingerprint = connection.execute("select fingerprint from bookkeeping.state").fetchall()[0][0]
    tables = {
        "release": release_row(
            {
                "release_id": release_id,
                "bank": bank.name,
                "bank_name_en": bank.settings.name.en,
                "bank_name_zh": bank.settings.name.zh,
                "environment": bank.settings.environment,
                "as_of": build.as_of,
                "created_at": now(),
                "base_currency": bank.settings.base_currency,
                "time_zone": bank.settings.time_zone,
                "build_fingerprint": fingerprint,
                "mapping_hash": bank.mapping.hash,
                "mainbank_version": version("mainbank"),
                "duckdb_version": duckdb.__version__,
                "storage_version": STORAGE_VERSION,
                "dagster_run_id": run_id,
            }
        ),
        "settings": settings_table(
            [
                *((name, value, "bank", "bank.yml") for name, value in flatten(bank.settings)),
                *seeded,
            ]
        ),
        "delivery": delivery_table(entries),
        "freshness": freshness_table(freshness(home, bank, entries)),
        "reconciliation": reconciliation_table(reconciliations(home, bank.name)),
        "quality": quality_table(quality),
    }
    return {**tables, "data_dictionary": data_dictionary(manifest, columns, tables)}


def lacking_sources(manifest: Mapping[str, Any], model: str, empty: Container[str]) -> list[str]:
    """Of the sources a model is made from, those that have no rows, as near to it as there are any.

    Parameters
    ----------
    manifest : mapping
        dbt's manifest.
    model : str
        Its id in the manifest.
    empty : container of str
        Names of the sources that have no rows.

    Returns
    -------
    list of str
        Sorted; empty if every source it is made from has rows.

    Examples
    --------
    >>> parents = {"fct_contact": ["named", "stg"], "named": ["stg_other"], "stg": ["raw"], "stg_other": ["raw_other"]}
    >>> sources = {"raw": {"name": "contacts"}, "raw_other": {"name": "complaints"}}
    >>> manifest = {"parent_map": parents, "sources": sources, "nodes": dict.fromkeys(parents)}
    >>> lacking_sources(manifest, "fct_contact", {"contacts", "complaints"})
    ['contacts']
    """
    seen, level = {model}, [model]
    while level:
        parents = sorted({parent for one in level for parent in manifest["parent_map"][one]} - seen)
        named = {manifest["sources"][one]["name"] for one in parents if one in manifest["sources"]}
        if found := sorted(name for name in named if name in empty):
            return found
        seen.update(parents)
        level = [one for one in parents if one in manifest["nodes"]]
    return []


def _empty_tables(
    connection: duckdb.DuckDBPyConnection, build: Build, manifest: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Of each published table of the models that has no row, why: rows of `quality_table`."""
    dated = {
        name: "known_on" in columns
        for name, columns in connection.execute(
            "select table_name, list(column_name order by column_name) from duckdb_columns() "
            "where schema_name = 'raw' group by all order by all"
        ).fetchall()
    }
    lacking = {
        name
        for name, is_dated in dated.items()
        if not connection.execute(
            f"select 1 from raw.{quote_name(name)} {'where known_on <= $day' if is_dated else ''} limit 1",
            {"day": build.as_of} if is_dated else None,
        ).fetchall()
    }
    rows: list[tuple[Any, ...]] = []
    for name, node in sorted(manifest["nodes"].items()):
        table = f"{quote_name(node['schema'])}.{quote_name(node['alias'] or node['name'])}"
        is_public = node["resource_type"] == "model" and node["schema"] in PUBLIC_SCHEMAS
        # what was mined and is empty has its reason in mining.model_refusal
        if not is_public or "mined" in node["tags"] or connection.execute(f"select 1 from {table} limit 1").fetchall():
            continue
        sources = ", ".join(lacking_sources(manifest, name, lacking))
        english = f"no row of {sources} is known" if sources else "no row of its sources belongs here"
        chinese = f"{sources}尚无数据" if sources else "来源中没有属于本表的数据"
        subject = f"{node['schema']}.{node['alias'] or node['name']}"
        rows.append(("table_without_rows", "model", subject, "info", None, 0, subject, english, chinese))
    return rows


def _quality_rows(
    connection: duckdb.DuckDBPyConnection, home: Home, bank: Bank, entries: Sequence[LedgerEntry]
) -> list[tuple[Any, ...]]:
    """What landing, registration, models and tests counted."""
    rows: list[tuple[Any, ...]] = []
    for entry in entries:
        lost = entry.rows_lost
        rows.append(("nothing_lost", "landing", entry.source, "error", entry.rows_read, lost, entry.file))
        rows.append(
            (
                "rows_quarantined",
                "landing",
                entry.source,
                "warning",
                entry.rows_read,
                entry.rows_quarantined,
                entry.file,
            )
        )
        rows.extend(
            ("undeclared_column", "landing", entry.source, "warning", None, 1, f"{entry.file}: column {column}")
            for column in entry.undeclared_columns
        )
    rows.extend(
        (
            "stands_still",
            "landing",
            stop.source,
            "error",
            None,
            1,
            f"since {stop.stale_since or 'the initial load'}: {stop.reason_en or stop.reason}",
        )
        for stop in stops(home, bank.name).values()
    )
    rows.extend(
        (
            "reconciled_with_the_source",
            "landing",
            found.source,
            "warning",
            found.days,
            len(found.differing_days),
            "days",
        )
        for found in reconciliations(home, bank.name)
    )
    for group in summarise(home, bank.name):
        where = f"{group.file}, first at line {group.first_line}"
        column = f", column {group.column}" if group.column else ""
        found = f", found {group.example}" if group.example else ""
        rows.append(
            (
                "quarantine_reason",
                "landing",
                group.source,
                "warning",
                None,
                group.rows,
                f"{where}{column}: {group.reason}{found}",
            )
        )
    rows.extend(
        ("registrable_under_the_contract", "registration", table, "warning", None, count, f"{column}: {reason}")
        for table, column, reason, count in connection.execute(
            "select table_name, column_name, reason, count(*) from bookkeeping.rejected_row group by all order by all"
        ).fetchall()
    )
    rows.extend(
        (
            "code_translated",
            "registration",
            table,
            "warning",
            None,
            count,
            f"{column}: code {code!r} is not in {code_table}",
        )
        for table, column, code_table, code, count in connection.execute(
            "select table_name, column_name, code_table, source_code, sum(rows) from bookkeeping.untranslated_code "
            "group by all order by all"
        ).fetchall()
    )
    rows.extend(
        (rule, "model", subject, severity, checked, failing, endangers, english, chinese)
        for rule, subject, severity, checked, failing, endangers, english, chinese in connection.execute(
            "select rule, subject, severity, checked_count, failing_count, endangers, meaning_en, meaning_zh "
            "from quality.quality_summary order by all"
        ).fetchall()
    )
    rows.extend(
        (name, "test", stage, "error" if status in ("fail", "error") else "warning", None, failures, status)
        for stage, name, status, failures in connection.execute(
            "select pass, name, status, failures from bookkeeping.check_result order by all"
        ).fetchall()
    )
    return [(*row[:6], None, row[6], None) if len(row) == 7 else row for row in rows]
