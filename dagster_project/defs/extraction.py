"""Deliveries come in: each source of the mapping is landed, then registered under the names of the contract."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_project.defs.resources import Installation
from dagster_project.lib.build import OWNERS, row_counts, start_build
from dagster_project.lib.environment import Environment, bank_of
from warehouse import landing as landing_room
from warehouse.contract import load_contract

FULL_REBUILD_TAG = "mainbank/full_rebuild"
"""A run with this tag begins a new warehouse file."""

_MADE = ("person_records", "person_merges")
"""Raw tables that no delivery brings: identity resolution makes them."""

_bank = bank_of(Environment.read().source)
_contract = load_contract()


@dg.multi_asset(
    name="landing",
    specs=[
        dg.AssetSpec(
            key=["landing", source.name],
            group_name="landing",
            kinds={"parquet"},
            owners=OWNERS,
            description=f"Deliveries of {source.name} ({source.source_system}), as delivered, identifiers apart. | "
            f"{source.source_system} 系统的 {source.name}，原样接收，身份信息分离存放。",
        )
        for source in _bank.mapping.sources.values()
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "nothing_lost",
            asset=["landing", source.name],
            blocking=True,
            description="Records counted apart = landed + quarantined + filtered + erased. | "
            "读取数 = 接收 + 隔离 + 过滤 + 已删除。",
        )
        for source in _bank.mapping.sources.values()
    ],
    pool="duckdb_writer",
)
def landing(
    context: dg.AssetExecutionContext, installation: Installation
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Land every delivery that is not in the ledger yet."""
    results = landing_room.land(installation.bank, installation.data, installation.home, progress=context.log.info)
    by_source: dict[str, list[landing_room.LandingResult]] = {name: [] for name in installation.bank.mapping.sources}
    for result in results:
        by_source[result.entry.source].append(result)
    for source, landed in by_source.items():
        key = dg.AssetKey(["landing", source])
        new = [result.entry for result in landed if result.is_new]
        seen = [result.entry for result in landed]
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "deliveries seen": len(seen),
                "deliveries new": len(new),
                "rows read": sum(entry.rows_read for entry in seen),
                "rows landed": sum(entry.rows_landed for entry in seen),
                "rows quarantined": sum(entry.rows_quarantined for entry in seen),
                "rows filtered": sum(entry.rows_filtered for entry in seen),
                "rows erased": sum(entry.rows_erased for entry in seen),
                "dagster/row_count": sum(entry.rows_landed for entry in seen),
            },
        )
        lost = sum(entry.rows_lost for entry in seen)
        yield dg.AssetCheckResult(
            asset_key=key, check_name="nothing_lost", passed=lost == 0, metadata={"rows unaccounted for": lost}
        )


@dg.multi_asset(
    name="registration",
    specs=[
        dg.AssetSpec(
            key=["raw", table.name],
            group_name="raw",
            kinds={"duckdb"},
            owners=OWNERS,
            deps=[dg.AssetKey(["landing", source]) for source in sorted(_bank.mapping.tables[table.name].sources)]
            if table.name in _bank.mapping.tables
            else [],
            description=f"{table.meaning.en} | {table.meaning.zh}",
            metadata={
                "dagster/column_schema": dg.TableSchema(
                    columns=[
                        dg.TableColumn(
                            column.name, column.type, description=f"{column.meaning.en} | {column.meaning.zh}"
                        )
                        for column in table.raw_columns
                    ]
                )
            },
        )
        for table in _contract.tables.values()
    ]
    + [
        dg.AssetSpec(
            key=["raw", "person_records"],
            group_name="raw",
            kinds={"duckdb"},
            owners=OWNERS,
            deps=[["raw", "customers"]],
            description="Which person each customer record is. | 客户记录与客户（人）的对应关系。",
        ),
        dg.AssetSpec(
            key=["raw", "person_merges"],
            group_name="raw",
            kinds={"duckdb"},
            owners=OWNERS,
            deps=[["raw", "customers"]],
            description="Persons that turned out to be part of another one. | 被认定与他人为同一主体的客户。",
        ),
    ],
    pool="duckdb_writer",
)
def registration(context: dg.AssetExecutionContext, installation: Installation) -> Iterator[dg.MaterializeResult[Any]]:
    """Apply the mapping to the deliveries not registered yet; decide which warehouse file this run builds."""
    started = start_build(
        installation.bank,
        installation.home,
        installation.as_of,
        context.run_id,
        is_full_rebuild=FULL_REBUILD_TAG in context.run.tags,
        progress=context.log.info,
    )
    counts = row_counts(started.build, installation.bank, [("raw", name) for name in (*_contract.tables, *_MADE)])
    for table in (*_contract.tables, *_MADE):
        yield dg.MaterializeResult(
            asset_key=["raw", table],
            metadata={
                "dagster/row_count": counts["raw", table],
                "rows new": started.rows_registered.get(table, 0),
                "as of": str(started.build.as_of),
            },
        )
