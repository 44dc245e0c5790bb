"""Deliveries come in: each source of the mapping is landed, then registered under the names of the contract."""

import re
from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_project.defs.resources import Installation
from dagster_project.lib.build import OWNERS, row_counts, start_build
from dagster_project.lib.environment import Environment, bank_of
from warehouse import landing as landing_room
from warehouse.contract import load_contract
from warehouse.freshness import Freshness, freshness
from warehouse.home import Home
from warehouse.landed_sample import masked_rows
from warehouse.ledger import read_ledger
from warehouse.reconciliation import Reconciliation, reconciliations
from warehouse.sources.database import ConnectionFailedError
from warehouse.sources.specification import SourceSpec

FULL_REBUILD_TAG = "mainbank/full_rebuild"
"""A run with this tag begins a new warehouse file."""

_MADE = ("person_records", "person_merges")
"""Raw tables that no delivery brings: identity resolution makes them."""

_bank = bank_of(Environment.read().source)
_contract = load_contract()


RECONNECTIONS = 3
"""How often a run tries again when a database cannot be reached: after 10, 20 and 40 seconds."""

_CHECKS = {
    "nothing_lost": (
        True,
        "Records counted apart = landed + quarantined + filtered + erased + unchanged. | "
        "读取数 = 接收 + 隔离 + 过滤 + 已删除 + 未变。",
    ),
    "as_mapped": (
        False,
        "It delivers the columns the mapping names; if not, it stands still and the others go on. | "
        "来源字段与映射一致；否则该表停止更新，其余继续。",
    ),
    "reconciled": (
        False,
        "Rows and sums by day are those of the source. | 逐日行数与金额同来源系统一致。",
    ),
}


def _checks_of(source: SourceSpec) -> list[str]:
    is_reconciled = source.database is not None and source.database.reconcile is not None
    return [name for name in _CHECKS if name != "reconciled" or is_reconciled]


def _group_of(source_system: str) -> str:
    """A source system's group in the graph; Dagster allows letters, digits and underscores."""
    return f"landing_{re.sub(r'[^A-Za-z0-9_]', '_', source_system)}"


@dg.multi_asset(
    name="landing",
    specs=[
        dg.AssetSpec(
            key=["landing", source.name],
            group_name=_group_of(source.source_system),
            kinds={"parquet"},
            owners=OWNERS,
            tags={"mainbank/source_system": source.source_system},
            description=f"Deliveries of {source.name} ({source.source_system}), as delivered, identifiers apart. | "
            f"{source.source_system} 系统的 {source.name}，原样接收，身份信息分离存放。",
        )
        for source in _bank.mapping.sources.values()
    ],
    check_specs=[
        dg.AssetCheckSpec(name, asset=["landing", source.name], blocking=_CHECKS[name][0], description=_CHECKS[name][1])
        for source in _bank.mapping.sources.values()
        for name in _checks_of(source)
    ],
    pool="duckdb_writer",
)
def landing(
    context: dg.AssetExecutionContext, installation: Installation
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Land every delivery that is not in the ledger yet, and what the databases have that is new."""
    bank, home = installation.bank, installation.home
    try:
        results = landing_room.land(
            bank, installation.data, home, progress=context.log.info, delivered_on=installation.delivered_on
        )
    except ConnectionFailedError as error:
        # What was landed stays; only what a wait can mend is tried again.
        wait = 10 * 2**context.op_execution_context.retry_number
        context.log.warning(f"{error}\ntried again in {wait} seconds, {RECONNECTIONS} times at most")
        raise dg.RetryRequested(max_retries=RECONNECTIONS, seconds_to_wait=wait) from error
    found = {item.source: item for item in freshness(home, bank, read_ledger(home.landing, bank.name))}
    reconciled = {item.source: item for item in reconciliations(home, bank.name)}
    for source in bank.mapping.sources.values():
        landed = [result for result in results if result.entry.source == source.name]
        yield from _results_of(home, source, landed, found[source.name], reconciled.get(source.name))


def _results_of(
    home: Home,
    source: SourceSpec,
    landed: list[landing_room.LandingResult],
    fresh: Freshness,
    reconciliation: Reconciliation | None,
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """What became of one source, as the metadata and the checks of its asset."""
    key = dg.AssetKey(["landing", source.name])
    seen = [result.entry for result in landed]
    new = [result for result in landed if result.is_new]
    new_rows, seconds = sum(result.entry.rows_read for result in new), sum(result.seconds for result in new)
    metadata: dict[str, Any] = {
        "deliveries seen": len(seen),
        "deliveries new": len(new),
        "rows read": sum(entry.rows_read for entry in seen),
        "rows landed": sum(entry.rows_landed for entry in seen),
        "rows quarantined": sum(entry.rows_quarantined for entry in seen),
        "rows filtered": sum(entry.rows_filtered for entry in seen),
        "rows erased": sum(entry.rows_erased for entry in seen),
        "rows unchanged": sum(entry.rows_unchanged for entry in seen),
        "bytes": sum(entry.bytes for entry in seen),
        "dagster/row_count": fresh.rows,
    }
    if new and seconds:
        metadata["rows per second"] = round(new_rows / seconds)
    if fresh.watermark is not None:
        metadata["watermark"] = fresh.watermark
    if fresh.last_known_on is not None:
        metadata["last known on"] = str(fresh.last_known_on)
    with_rows = [result.entry for result in new if result.entry.rows_landed]
    if with_rows:
        rows = masked_rows(home, source, with_rows[-1])
        metadata["sample"] = dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])
    yield dg.MaterializeResult(asset_key=key, metadata=metadata)
    lost = sum(entry.rows_lost for entry in seen)
    yield dg.AssetCheckResult(
        asset_key=key, check_name="nothing_lost", passed=lost == 0, metadata={"rows unaccounted for": lost}
    )
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="as_mapped",
        passed=fresh.stop is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rows": fresh.rows,
            "last delivery": str(fresh.last_delivery_on or "initial load"),
            "last known on": str(fresh.last_known_on or "without a date"),
            **({"days behind": fresh.behind_days} if fresh.behind_days is not None else {}),
            **(
                {"stale since": str(fresh.stop.stale_since or "initial load"), "reason": fresh.stop.reason}
                if fresh.stop
                else {}
            ),
        },
    )
    if "reconciled" in _checks_of(source):
        days = reconciliation.differing_days if reconciliation else ()
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name="reconciled",
            passed=reconciliation is not None and reconciliation.is_equal,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "days": reconciliation.days if reconciliation else 0,
                "differing days": ", ".join(day.day for day in days[:20]) or "none",
                "differing rows": ", ".join(row.key for row in (reconciliation.rows if reconciliation else ())[:20])
                or "none",
            },
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
