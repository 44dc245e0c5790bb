"""What the assets of all miners share: reading the panel, models in force, writing results, the check."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from dagster_project.lib.build import Build, reading, write_results
from dagster_project.lib.meta import now
from mining.gates import Refusal, metric_rows, refusal_frame, text_hash
from mining.model_files import ModelFileError

if TYPE_CHECKING:
    from dagster_project.lib.model_store import ModelStore, Promotion
    from mining.gates import MinerResult
    from warehouse.sources.bank import Bank

LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy")

MODEL_RUN = pa.schema(
    [
        ("run_id", pa.string()),
        ("miner", pa.string()),
        ("status", pa.string()),
        ("reason_en", pa.string()),
        ("reason_zh", pa.string()),
        ("as_of", pa.date32()),
        ("started_at", pa.timestamp("us")),
        ("seconds", pa.float64()),
        ("row_count", pa.int64()),
        ("person_count", pa.int64()),
        ("feature_count", pa.int64()),
        ("window_from", pa.string()),
        ("window_to", pa.string()),
        ("seed", pa.int64()),
        ("parameters", pa.string()),
        ("feature_hash", pa.string()),
        ("data_hash", pa.string()),
        ("library_versions", pa.string()),
        ("method_en", pa.string()),
        ("method_zh", pa.string()),
        ("model_id", pa.string()),
    ]
)
"""Columns of ``mined.model_run``; what a miner does not have is absent."""
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


Save = Callable[[Path], str]
"""Writes a model into the folder it is given and returns the model's id."""


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
    """What a miner shows after a run of the pipeline.

    Parameters
    ----------
    status
        ``published``; ``kept``: a new fit was refused and the last good result is shown; ``refused``: nothing is shown.
    runs
        Rows of `MODEL_RUN`: the run whose results are shown, and the refused one.
    tables
        Results by name of the table in schema ``mined``; one without columns does not exist after the run.
    metrics, refusals
        As the library gives them: for the tables that all miners share.
    metadata
        Numbers and plots for the asset's page.
    """

    status: str
    runs: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    metrics: pd.DataFrame
    refusals: pd.DataFrame
    metadata: Mapping[str, Any]

    @property
    def reason(self) -> str | None:
        """Why the last run was refused, in English; None if it was not."""
        reasons = self.runs.loc[self.runs["status"] == "refused", "reason_en"]
        return str(reasons.iloc[0]) if len(reasons) else None


def run_rows(miner: str, build: Build, watch: Stopwatch, result: MinerResult, model_id: str | None) -> pd.DataFrame:
    """The row of `MODEL_RUN` of a run of a library that was just made."""
    run = result.frames()["run"].iloc[0]
    refusals = result.refusals
    return pd.DataFrame(
        [
            {
                "run_id": run["run_id"],
                "miner": miner,
                "status": "refused" if refusals else "published",
                "reason_en": " ".join(refusal.sentence_en for refusal in refusals) or None,
                "reason_zh": "".join(refusal.sentence_zh for refusal in refusals) or None,
                "as_of": build.as_of,
                "started_at": watch.started_at,
                "seconds": watch.seconds,
                "row_count": int(run["rows"]),
                "person_count": int(run["persons"]),
                "feature_count": int(run["feature_count"]),
                "window_from": run["window_from"],
                "window_to": run["window_to"],
                "seed": int(run["seed"]),
                "parameters": run["parameters"],
                "feature_hash": run["feature_hash"],
                "data_hash": run["data_hash"],
                "library_versions": library_versions(),
                "method_en": run["method_en"],
                "method_zh": run["method_zh"],
                "model_id": model_id,
            }
        ]
    )


def unusable(miner: str, build: Build, watch: Stopwatch, tables: Iterable[str], error: ModelFileError) -> Mined:
    """What is shown when the file of the model in force may not be used: nothing, and why; the other miners go on."""
    run_id = text_hash(miner, str(error))
    english = f"The model in force may not be used. {error}"
    chinese = f"现行模型不可用：{error}"
    empty = dict.fromkeys(MODEL_RUN.names)
    run = empty | {
        "run_id": run_id,
        "miner": miner,
        "status": "refused",
        "reason_en": english,
        "reason_zh": chinese,
        "as_of": build.as_of,
        "started_at": watch.started_at,
        "seconds": watch.seconds,
        "row_count": 0,
        "person_count": 0,
        "feature_count": 0,
        "library_versions": library_versions(),
    }
    refusal = Refusal("unusable_model", english, chinese, str(error), "the file that was promoted")
    return Mined(
        status="refused",
        runs=pd.DataFrame([run]),
        tables={table: pd.DataFrame() for table in tables},
        metrics=metric_rows([], run_id),
        refusals=refusal_frame([refusal], run_id),
        metadata={},
    )


def library_versions() -> str:
    """Versions of Python and of what the miners compute with, as JSON."""
    return json.dumps({"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}})


@dataclass(frozen=True)
class InForce:
    """The model a run shows, and the refusal of a newer one.

    Parameters
    ----------
    promotion
        The model; None if there is none.
    runs, refusals
        Of the run in force and of the refused one.
    frames
        Tables of the run in force; of the refused one if no model is.
    """

    promotion: Promotion | None
    runs: pd.DataFrame
    refusals: pd.DataFrame
    frames: dict[str, pd.DataFrame]

    @property
    def status(self) -> str:
        """As in `Mined`."""
        if self.promotion is None:
            return "refused"
        return "published" if len(self.runs) == 1 else "kept"


def model_in_force(
    miner: str,
    store: ModelStore,
    build: Build,
    *,
    is_retraining: bool,
    fit: Callable[[Promotion | None], tuple[MinerResult, Save | None]],
    apply: Callable[[Promotion], pd.DataFrame],
) -> tuple[InForce, pd.DataFrame | None]:
    """Apply the model in force on the build's date; fit one if asked for, or if none is in force or it does not apply.

    Parameters
    ----------
    miner, store, build
        Whose models, where they are kept, and as of when.
    is_retraining
        Whether to fit although a model is in force.
    fit
        Given the model in force, returns the result of a fit and, unless it was refused, what saves its model into a
        folder and returns the model's id.
    apply
        Gives each person its row by a model; a ValueError says that the features are no longer those of the model.

    Returns
    -------
    InForce
        The model that is shown, and what was refused.
    pandas.DataFrame or None
        The rows of the persons; None without a model.
    """
    promotion, rows = store.in_force(miner, build.as_of), None
    if promotion is not None and not is_retraining:
        try:
            rows = apply(promotion)
        except ModelFileError:
            raise  # a file that was changed, or of another version: a person decides
        except ValueError:
            promotion = None
    if rows is None:
        watch = Stopwatch()
        result, save = fit(promotion)
        frames = result.frames()
        if save is None:
            refused, refusals = run_rows(miner, build, watch, result, None), frames["refusals"]
            if promotion is None:
                return InForce(None, refused, refusals, frames), None
            try:
                rows = apply(promotion)
            except ModelFileError:
                raise
            except ValueError:  # nor does the model in force apply any more
                return InForce(None, refused, refusals, frames), None
            frames = promotion.frames()
            return InForce(promotion, pd.concat([frames["model_run"], refused]), refusals, frames), rows
        promotion = store.promote(
            miner,
            str(frames["run"]["run_id"].iloc[0]),
            build.as_of,
            lambda model_id: {
                **frames,
                "model_run": as_run_table(run_rows(miner, build, watch, result, model_id)).to_pandas(),
            },
            save,
        )
        rows = apply(promotion)
    frames = {} if promotion is None else promotion.frames()
    return InForce(promotion, frames["model_run"], frames["refusals"], frames), rows


def as_run_table(rows: pd.DataFrame) -> pa.Table:
    """Rows of runs in the types of `MODEL_RUN`."""
    return pa.Table.from_pylist(
        [{name: None if pd.isna(value) else value for name, value in row.items()} for row in rows.to_dict("records")],
        schema=MODEL_RUN,
    )


def write_mined(build: Build, bank: Bank, miner: str, mined: Mined) -> None:
    """Write the tables of one miner, and its rows in the tables that all miners share."""
    shared = {
        "model_run": as_run_table(mined.runs),
        "model_metric": shared_rows(mined.metrics, MODEL_METRIC, miner),
        "model_refusal": shared_rows(mined.refusals, MODEL_REFUSAL, miner),
    }
    own = {
        name: pa.Table.from_pandas(frame, preserve_index=False) if len(frame.columns) else None
        for name, frame in mined.tables.items()
    }
    write_results(build, bank, own, shared=shared, miner=miner)


def shared_rows(frame: pd.DataFrame, schema: pa.Schema, miner: str) -> pa.Table:
    """Rows of a miner in the columns of a table that all miners share."""
    rows = frame.assign(miner=miner).reindex(columns=schema.names)
    return pa.Table.from_pandas(rows, schema=schema, preserve_index=False)


def metric_metadata(metrics: pd.DataFrame) -> dict[str, float]:
    """Metrics as numbers that plot over runs: of what is published, and what its baselines reach; all are a table."""
    known = metrics.dropna(subset="value")
    own = known[known["subject"].isin(("model", "rules"))]
    compared = known[known["metric"].isin(("auc", "retention_auc", "explained_variance"))].drop(
        own.index, errors="ignore"
    )
    return {
        **dict(zip(own["metric"], own["value"].astype(float), strict=True)),
        **dict(zip(compared["metric"] + " of " + compared["subject"], compared["value"].astype(float), strict=True)),
    }


def read_panel(build: Build, bank: Bank) -> pd.DataFrame:
    """The features of every person and complete month, as known at each month's end.

    Returns
    -------
    pandas.DataFrame
        Columns ``person_id``, ``month_on`` (last day of the month, as text) and the features; decimals as floats,
        since models do not count money.
    """
    return _monthly(build, bank, "mining_features_customer_month")


def read_outcomes(build: Build, bank: Bank) -> pd.DataFrame:
    """What became of every person by month, for labels only: it is as known now, not as known then."""
    return _monthly(build, bank, "customer_month_outcome")


def _monthly(build: Build, bank: Bank, table: str) -> pd.DataFrame:
    with reading(build, bank) as connection:
        described = connection.execute(f"describe features.{table}").fetchall()
        columns = ", ".join(
            f"cast({name} as double) as {name}" if type_.startswith("DECIMAL") else name
            for name, type_, *_ in described
        )
        rows = connection.sql(f"select {columns} from features.{table} order by person_id, month_start_on")
        table_of_rows = rows.to_arrow_table()
    # Column by column, each freed once it is copied: a panel of millions of rows is held once.
    frame: pd.DataFrame = table_of_rows.to_pandas(split_blocks=True, self_destruct=True)
    del table_of_rows
    ends = pd.to_datetime(frame.pop("month_start_on")) + pd.offsets.MonthEnd(0)
    frame.insert(1, "month_on", ends.dt.strftime("%Y-%m-%d"))
    return frame


def feature_names(build: Build, bank: Bank) -> dict[str, tuple[str, str]]:
    """Names of the features in English and Chinese."""
    with reading(build, bank) as connection:
        rows = connection.execute("select feature, name_en, name_zh from settings.feature_names").fetchall()
    return {feature: (name_en, name_zh) for feature, name_en, name_zh in rows}


def present_customers(panel: pd.DataFrame) -> pd.DataFrame:
    """Features of the last month of the panel, indexed by person: of those who have an account open."""
    latest: pd.DataFrame = panel[(panel["month_on"] == panel["month_on"].max()) & (panel["accounts_open"] > 0)]
    return latest.drop(columns=["month_on"]).set_index("person_id")
