"""Churn under two definitions side by side: scored each day by the models in force, fitted anew by `retrain`."""

import functools
from typing import Any

import dagster as dg
import pandas as pd

from dagster_project.lib.build import Build
from dagster_project.lib.miners import (
    Mined,
    last_month,
    metric_metadata,
    miner_asset,
    read_outcomes,
    read_panel,
    reason_of,
)
from dagster_project.lib.model_store import ModelStore
from dagster_project.lib.plots import gain_plot
from mining import churn
from warehouse.sources.bank import Bank

DEFINITIONS: dict[str, churn.Definition] = {
    "closure_or_drop": churn.ClosureOrDrop(),
    "dormancy": churn.Dormancy(),
}
SCORE_COLUMNS = (
    *("person_id", "month_on", "run_id", "model_id", "probability", "risk_rank", "risk_decile", "is_listed"),
    *("value_at_stake", "expected_loss"),
    *(f"reason_{n}_{part}" for n in (1, 2, 3) for part in ("column", "effect", "en", "zh")),
)
FRAMES = {"calibration": "calibration", "gain": "gain", "driver": "drivers", "column": "columns"}


def mine(name: str, bank: Bank, store: ModelStore, build: Build, is_retraining: bool) -> Mined:
    """Fit when asked for or when no model is in force yet; then score everybody who is there in the last month."""
    miner = f"churn_{name}"
    panel = churn.with_history(read_panel(build, bank))
    promotion = store.current(miner)
    result = None
    if is_retraining or promotion is None:
        labels = churn.label_months(read_outcomes(build, bank), DEFINITIONS[name])
        features, outcomes, persons, months = churn.training_rows(panel, labels)
        result = churn.fit(features, outcomes, persons, months)
        model = result.model
        if model is not None:
            promotion = store.promote(
                miner,
                result.run.run_id,
                build.as_of,
                result.frames(),
                lambda folder: churn.save_model(model, folder)[1].model_id,
            )
    latest = last_month(panel)
    if promotion is None:
        assert result is not None  # noqa: S101 - fitted above
        frames, scores = result.frames(), pd.DataFrame(columns=list(SCORE_COLUMNS))
    else:
        frames = promotion.frames()
        in_force = churn.load_model(promotion.model_file, promotion.model_id)
        scores = churn.score(in_force, latest, as_of=str(panel["month_on"].max()), value_at_stake=latest["aum_average"])
    run = frames["run"].iloc[0]
    reason = None if result is None else reason_of(result)
    metadata: dict[str, Any] = metric_metadata(frames["metrics"])
    if len(frames["gain"]):
        metadata["gain and calibration"] = gain_plot(frames["gain"], frames["calibration"])
    return Mined(
        run_id=run["run_id"],
        data_hash=run["data_hash"],
        parameters=run["parameters"],
        status="refused" if promotion is None else "published" if reason is None else "kept",
        reason=reason,
        model_as_of=None if promotion is None else promotion.as_of,
        rows_in=len(panel),
        tables={
            f"{miner}_score": scores,
            **{f"{miner}_{table}": frames[frame] for table, frame in FRAMES.items()},
        },
        metrics=frames["metrics"],
        refusals=frames["refusals"] if result is None else result.frames()["refusals"],
        metadata=metadata,
    )


def churn_asset(name: str, meaning_en: str, meaning_zh: str) -> dg.AssetsDefinition:
    """The asset of one definition."""
    return miner_asset(
        f"churn_{name}",
        {
            f"churn_{name}_score": f"Probability to leave ({meaning_en}), with reasons for those on the list. | "
            f"流失概率（{meaning_zh}）及名单客户的原因。",
            f"churn_{name}_calibration": "Probability told against rate seen, by tenth. | 校准：预测概率与实际比率。",
            f"churn_{name}_gain": "Leavers reached by share contacted. | 增益曲线。",
            f"churn_{name}_driver": "What moves the probability, over all customers. | 流失驱动因素。",
            f"churn_{name}_column": "Use of each feature, and how well it predicts alone. | 特征使用情况。",
        },
        deps=[("features", "mining_features_customer_month"), ("features", "customer_month_outcome")],
        check="better_than_the_baselines",
        check_description="Enough customers left, no leak, calibrated, and better out of time than logistic regression "
        "and the recency rule; else nothing new is published. | 样本充足、无泄漏、已校准且样本外优于基线，否则不发布新结果。",
        mine=functools.partial(mine, name),
    )


closure_or_drop = churn_asset("closure_or_drop", "last account closed, or assets down by half", "销户或资产减半")
dormancy = churn_asset("dormancy", "no transaction of the customer's own for 90 days", "90天无主动交易")
