"""What the assets of all miners share: reading the panel, writing results, the row of the run, the check."""

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib.metadata import version
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from dagster_project.defs.resources import Installation
from dagster_project.lib.build import OWNERS, Build, current_build, reading, write_results
from dagster_project.lib.meta import now
from dagster_project.lib.model_store import ModelStore
from mining.gates import MinerResult
from warehouse.sources.bank import Bank

LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy")

MODEL_RUN = pa.schema(
    [
        ("run_id", pa.string()),
        ("miner", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("as_of", pa.date32()),
        ("model_as_of", pa.date32()),
        ("started_at", pa.timestamp("us")),
        ("seconds", pa.float64()),
        ("rows_in", pa.int64()),
        ("rows_out", pa.int64()),
        ("parameters", pa.string()),
        ("data_hash", pa.string()),
        ("library_versions", pa.string()),
    ]
)
MODEL_METRIC = pa.schema(
    [
        ("run_id", pa.string()),
        ("miner", pa.string()),
        ("subject", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
    ]
)
MODEL_REFUSAL = pa.schema(
    [
        ("run_id", pa.string()),
        ("miner", pa.string()),
        ("code", pa.string()),
        ("sentence_en", pa.string()),
        ("sentence_zh", pa.string()),
        ("found", pa.string()),
        ("needed", pa.string()),
    ]
)


@dataclass
class Stopwatch:
    """Clock time of a run's beginning, and seconds since."""

    started_at: datetime = field(default_factory=now)
    _start: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._start


@dataclass(frozen=True)
class Mined:
    """What a miner did in a run.

    Parameters
    ----------
    run_id, data_hash, parameters
        Of the run of the library whose results these are.
    status
        ``published``; ``refused`` (nothing to show); ``kept`` (a new fit was refused, the last good one is shown).
    reason
        Why it was refused, in English.
    model_as_of
        The build's date when the model in force was fitted.
    rows_in
        Rows the miner was given.
    tables
        Results by name of the table in schema ``mined``.
    metrics, refusals
        As the library gives them: for the tables that all miners share.
    metadata
        Numbers and plots for the asset's page.
    """

    run_id: str
    data_hash: str
    parameters: str
    status: str
    reason: str | None
    model_as_of: date | None
    rows_in: int
    tables: Mapping[str, pd.DataFrame]
    metrics: pd.DataFrame
    refusals: pd.DataFrame
    metadata: Mapping[str, Any]


RETRAIN_TAG = "mainbank/retrain"
"""A run with this tag fits the models anew; others use the models in force."""

Mine = Callable[["Bank", ModelStore, Build, bool], Mined]


def miner_asset(
    miner: str,
    tables: Mapping[str, str],
    *,
    deps: Sequence[Sequence[str]],
    check: str,
    check_description: str,
    mine: Mine,
) -> dg.AssetsDefinition:
    """A miner as an asset: reads the warehouse, calls the library, writes schema ``mined``, says how it went.

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
        mined = mine(bank, ModelStore(installation.home, bank.name), build, RETRAIN_TAG in context.run.tags)
        write_mined(build, bank, miner, mined, watch)
        context.log.info(f"{mined.status}: {len(mined.tables[first]):,} rows. {mined.reason or ''}".strip())
        for table in tables:
            metadata: dict[str, Any] = {"dagster/row_count": len(mined.tables[table])}
            if table == first:
                metadata |= {"status": mined.status, "run": mined.run_id, "seconds": round(watch.seconds, 3)}
                metadata |= mined.metadata
            yield dg.MaterializeResult(asset_key=["mined", table], metadata=metadata)
        yield dg.AssetCheckResult(
            asset_key=["mined", first],
            check_name=check,
            passed=mined.status == "published",
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "status": mined.status,
                "reason": mined.reason or "none",
                "model as of": str(mined.model_as_of or "none"),
            },
        )

    return asset


def write_mined(build: Build, bank: Bank, miner: str, mined: Mined, watch: Stopwatch) -> None:
    """Write the tables of one miner, and its rows in the tables that all miners share."""
    run = pa.Table.from_pylist(
        [
            {
                "run_id": mined.run_id,
                "miner": miner,
                "status": mined.status,
                "reason": mined.reason,
                "as_of": build.as_of,
                "model_as_of": mined.model_as_of,
                "started_at": watch.started_at,
                "seconds": watch.seconds,
                "rows_in": mined.rows_in,
                "rows_out": sum(len(frame) for frame in mined.tables.values()),
                "parameters": mined.parameters,
                "data_hash": mined.data_hash,
                "library_versions": json.dumps(
                    {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
                ),
            }
        ],
        schema=MODEL_RUN,
    )
    shared = {
        "model_run": run,
        "model_metric": shared_rows(mined.metrics, MODEL_METRIC, miner),
        "model_refusal": shared_rows(mined.refusals, MODEL_REFUSAL, miner),
    }
    own = {name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in mined.tables.items()}
    write_results(build, bank, own, shared=shared, miner=miner)


def shared_rows(frame: pd.DataFrame, schema: pa.Schema, miner: str) -> pa.Table:
    """Rows of a miner in the columns of a table that all miners share."""
    rows = frame.assign(miner=miner)
    missing = [name for name in schema.names if name not in rows.columns]
    rows = rows.reindex(columns=schema.names) if missing else rows[schema.names]
    return pa.Table.from_pandas(rows, schema=schema, preserve_index=False)


def last_month(panel: pd.DataFrame) -> pd.DataFrame:
    """Features of the last month of the panel, indexed by person."""
    latest = panel[panel["month_on"] == panel["month_on"].max()]
    return latest.drop(columns=["month_on"]).set_index("person_id")


def metric_metadata(metrics: pd.DataFrame) -> dict[str, float]:
    """Metrics as numbers that plot over runs."""
    return {f"{row.metric} ({row.subject})": float(row.value) for row in metrics.itertuples() if pd.notna(row.value)}


def reason_of(result: MinerResult) -> str | None:
    """Why a miner refused, in English, or None."""
    return " ".join(refusal.sentence_en for refusal in result.refusals) or None


def read_panel(build: Build, bank: Bank) -> pd.DataFrame:
    """The features of every person and complete month, as known at each month's end.

    Returns
    -------
    pandas.DataFrame
        Columns ``person_id``, ``month_on`` (last day of the month, as text) and the features; decimals as floats,
        since models do not count money.
    """
    with reading(build, bank) as connection:
        frame = connection.sql(
            "select * from features.mining_features_customer_month order by person_id, month_start_on"
        ).to_arrow_table()
    return as_panel(frame)


def read_outcomes(build: Build, bank: Bank) -> pd.DataFrame:
    """What became of every person by month, for labels only: it is as known now, not as known then."""
    with reading(build, bank) as connection:
        frame = connection.sql(
            "select * from features.customer_month_outcome order by person_id, month_start_on"
        ).to_arrow_table()
    return as_panel(frame)


def as_panel(table: pa.Table) -> pd.DataFrame:
    """Decimals as floats, and the month as its last day."""
    fields = [
        pa.field(column.name, pa.float64() if pa.types.is_decimal(column.type) else column.type)
        for column in table.schema
    ]
    frame = table.cast(pa.schema(fields)).to_pandas()
    ends = pd.to_datetime(frame.pop("month_start_on")) + pd.offsets.MonthEnd(0)
    frame.insert(1, "month_on", ends.dt.strftime("%Y-%m-%d"))
    return frame
