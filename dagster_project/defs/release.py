"""The last step: stage, audit, flip. Readers see all of a run, or none of it."""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_project.defs.resources import Installation
from dagster_project.defs.transformation import mining_results, transformation
from dagster_project.lib.build import OWNERS, current_build
from dagster_project.lib.meta import meta_tables
from warehouse import release as release_room
from warehouse.database import connection_settings
from warehouse.errors import UserError

_public = sorted(
    key
    for assets in (transformation, mining_results)
    for key in assets.keys
    if key.path[0] in release_room.PUBLIC_SCHEMAS or key.path[0] == "quality"
)


@dg.multi_asset(
    name="release",
    specs=[
        dg.AssetSpec(
            key=["release", "mainbank"],
            deps=_public,
            group_name="release",
            kinds={"duckdb"},
            owners=OWNERS,
            description="The DuckDB file that BI tools open: current/mainbank.duckdb. | BI工具读取的发布文件。",
        )
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "audited_in_a_fresh_process",
            asset=["release", "mainbank"],
            blocking=True,
            description="Another process opened it read-only and read every row of every table. | 由独立进程只读核验。",
        )
    ],
    pool="duckdb_writer",
)
def release(
    context: dg.AssetExecutionContext, installation: Installation
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Stage the public tables, audit them, and let readers see them."""
    bank, home = installation.bank, installation.home
    build = current_build(home)
    started = time.monotonic()
    release_id = release_room.next_release_id(home, build.as_of)
    with release_room.staging_folder(home, release_id) as folder:
        file = folder / release_room.FILE_NAME
        meta = meta_tables(build, bank, home, release_id, context.run_id)
        rows = release_room.stage(
            build.warehouse,
            file,
            meta,
            open_settings=connection_settings(bank.settings.resources, home.temporary),
        )
        try:
            release_room.audit_in_a_fresh_process(folder)
        except UserError as error:
            yield dg.AssetCheckResult(passed=False, metadata={"reason": str(error)})
            raise
        if build.is_live:
            place = release_room.publish(home, folder).file
            release_room.prune(home, bank.settings.release.kept)
        else:
            place = home.as_of / f"{build.as_of}.duckdb"
            file.replace(place)
            build.warehouse.unlink()
    context.log.info(f"{'published' if build.is_live else 'built apart'}: {place}")
    yield dg.MaterializeResult(
        metadata={
            "release": release_id,
            "path": dg.MetadataValue.path(str(place)),
            "as of": str(build.as_of),
            "tables": len(rows),
            "dagster/row_count": sum(rows.values()),
            "bytes": place.stat().st_size,
            "seconds": round(time.monotonic() - started, 3),
            "rows by table": dg.MetadataValue.md(
                "| table | rows |\n|---|---:|\n" + "\n".join(f"| {name} | {count:,} |" for name, count in rows.items())
            ),
        }
    )
    yield dg.AssetCheckResult(passed=True, metadata={"tables read": len(rows)})
