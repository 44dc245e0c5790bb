"""A miner as an asset: reads the warehouse, calls the library, writes schema ``mined``, says how it went."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from dagster_project.defs.resources import Installation
from dagster_project.lib.build import OWNERS, Build, current_build
from dagster_project.lib.miners import Mined, Stopwatch, unusable, write_mined
from dagster_project.lib.model_store import ModelStore
from mining.model_files import ModelFileError
from warehouse.sources.bank import Bank

RETRAIN_TAG = "mainbank/retrain"
"""A run with this tag fits the models anew; others use the models in force."""

Mine = Callable[[Bank, ModelStore, Build, bool], Mined]


def miner_asset(
    miner: str,
    tables: Mapping[str, str],
    *,
    deps: Sequence[Sequence[str]],
    check: str,
    check_description: str,
    mine: Mine,
) -> dg.AssetsDefinition:
    """Make the asset of a miner.

    Parameters
    ----------
    miner
        Its name.
    tables
        Description by name of each table it writes; the first one carries the numbers and the plot.
    deps
        Tables it reads, as (schema, table).
    check, check_description
        The check that fails, without blocking, when nothing new is published.
    mine
        Does the work: bank, store of models, build, whether to fit anew.
    """
    first = next(iter(tables))

    @dg.multi_asset(
        name=miner,
        specs=[
            dg.AssetSpec(
                key=["mined", table],
                deps=[list(key) for key in deps],
                group_name="mined",
                kinds={"python", "scikitlearn"},
                owners=OWNERS,
                description=description,
            )
            for table, description in tables.items()
        ],
        check_specs=[dg.AssetCheckSpec(check, asset=["mined", first], description=check_description)],
        pool="duckdb_writer",
    )
    def asset(
        context: dg.AssetExecutionContext, installation: Installation
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        bank, build = installation.bank, current_build(installation.home)
        watch = Stopwatch()
        store = ModelStore(installation.home, bank.mapping.bank)
        try:
            mined = mine(bank, store, build, RETRAIN_TAG in context.run.tags)
        except ModelFileError as error:
            mined = unusable(miner, build, watch, tables, error)
        write_mined(build, bank, miner, mined)
        context.log.info(f"{mined.status}: {len(mined.tables[first]):,} rows. {mined.reason or ''}".strip())
        shown = mined.runs.iloc[0]
        for table in tables:
            metadata: dict[str, Any] = {"dagster/row_count": len(mined.tables[table])}
            if table == first:
                metadata |= {
                    "status": mined.status,
                    "run": str(shown["run_id"]),
                    "model as of": str(shown["as_of"]),
                    "seconds": round(watch.seconds, 3),
                    "seconds of the fit": round(float(shown["seconds"]), 3),
                    **mined.metadata,
                }
            yield dg.MaterializeResult(asset_key=["mined", table], metadata=metadata)
        yield dg.AssetCheckResult(
            asset_key=["mined", first],
            check_name=check,
            passed=mined.status == "published",
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"status": mined.status, "reason": mined.reason or "none", "shown as of": str(shown["as_of"])},
        )

    return asset
