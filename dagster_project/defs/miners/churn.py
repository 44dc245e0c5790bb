"""Churn: two definitions side by side, scored each day by the model in force, fitted anew by `retrain`."""

import functools
from typing import Any

import dagster as dg
import pandas as pd

from dagster_project.lib.build import Build
from dagster_project.lib.miner_assets import miner_asset
from dagster_project.lib.miners import (
    Mined,
    Save,
    feature_names,
    metric_metadata,
    model_in_force,
    present_customers,
    read_outcomes,
    read_panel,
)
from dagster_project.lib.model_store import ModelStore, Promotion
from dagster_project.lib.plots import gain_plot
from mining import churn
from mining.gates import MinerResult
from warehouse.sources.bank import Bank

DEFINITIONS: dict[str, churn.Definition] = {
    "closure_or_drop": churn.ClosureOrDrop(),
    "dormancy": churn.Dormancy(),
}
FRAMES = {"calibration": "calibration", "gain": "gain", "driver": "drivers", "column": "columns"}
"""Table in schema ``mined``, after ``churn_<definition>_``: frame of the library's result."""


def mine(name: str, bank: Bank, store: ModelStore, build: Build, is_retraining: bool) -> Mined:
    """Score every customer who is there in the last month by the model in force."""
    miner = f"churn_{name}"
    panel, outcomes = read_panel(build, bank), read_outcomes(build, bank)
    names = feature_names(build, bank)
    month = str(panel["month_on"].max())
    excluded = pd.DataFrame()

    def fit(_promotion: Promotion | None) -> tuple[MinerResult, Save | None]:
        labels = churn.label_months(outcomes, DEFINITIONS[name])
        rows = churn.training_rows(churn.with_history(churn.drawn_persons(panel)), labels)
        result = churn.fit(*rows, names=names, definition=name)
        model = result.model
        return result, None if model is None else lambda folder: churn.save_model(model, folder)[1].model_id

    def apply(promotion: Promotion) -> pd.DataFrame:
        model = churn.load_model(promotion.model_file, promotion.model_id)
        latest = present_customers(churn.with_history(panel, as_of=month, made=model.encoder.columns))
        # The model was fitted and judged on those who can still leave; it says nothing of the others.
        departed = churn.departed_at(outcomes, month, DEFINITIONS[name])
        departed = departed[departed.index.isin(latest.index)]
        nonlocal excluded
        excluded = pd.DataFrame(
            {
                "person_id": departed.index,
                "month_on": month,
                "run_id": promotion.run_id,
                "exclusion_en": departed.to_numpy(),
                "exclusion_zh": departed.map(churn.EXCLUSIONS_ZH).to_numpy(),
            }
        )
        at_risk = latest[~latest.index.isin(departed.index)]
        scores = churn.score(model, at_risk, as_of=month, value_at_stake=at_risk["aum_average"], names=names)
        return scores.assign(run_id=promotion.run_id)

    shown, rows = model_in_force(miner, store, build, is_retraining=is_retraining, fit=fit, apply=apply)
    frames = dict(shown.frames)
    if len(frames["columns"].columns):
        frames["columns"] = frames["columns"].assign(run_id=frames["run"]["run_id"].iloc[0])
    metadata: dict[str, Any] = {}
    if len(frames["gain"]):
        metadata["gain and calibration"] = gain_plot(frames["gain"], frames["calibration"])
    metadata |= metric_metadata(frames["metrics"])
    return Mined(
        status=shown.status,
        runs=shown.runs,
        tables={
            f"{miner}_score": pd.DataFrame() if rows is None else rows,
            f"{miner}_exclusion": excluded,
            **{f"{miner}_{table}": frames[frame] for table, frame in FRAMES.items()},
        },
        metrics=frames["metrics"],
        refusals=shown.refusals,
        metadata=metadata,
    )


def churn_asset(name: str, meaning_en: str, meaning_zh: str) -> dg.AssetsDefinition:
    """The asset of one definition."""
    return miner_asset(
        f"churn_{name}",
        {
            f"churn_{name}_score": f"Probability to leave ({meaning_en}), with reasons for those on the list. | "
            f"流失概率（{meaning_zh}）及名单客户的原因。",
            f"churn_{name}_exclusion": "Who can no longer leave, and why. | 不再评分的客户及原因。",
            f"churn_{name}_calibration": "Probability told against rate seen, by tenth. | 校准：预测概率与实际比率。",
            f"churn_{name}_gain": "Leavers reached by share contacted. | 增益曲线。",
            f"churn_{name}_driver": "What moves the probability, over all customers. | 流失驱动因素。",
            f"churn_{name}_column": "Use of each feature, and how well it predicts alone. | 特征使用情况。",
        },
        deps=[("features", "mining_features_customer_month"), ("features", "customer_month_outcome")],
        check="better_than_the_baselines",
        check_description="Enough customers left, no leak, a calibration slope not far from 1, and better out of time "
        "than chance and the recency rule; else nothing new is published. | "
        "样本充足、无泄漏、校准斜率接近1且样本外优于随机与近期规则，否则不发布新结果。",
        mine=functools.partial(mine, name),
    )


closure_or_drop = churn_asset("closure_or_drop", "last account closed, or assets down by half", "销户或资产减半")
dormancy = churn_asset("dormancy", "no transaction of the customer's own for 90 days", "90天无主动交易")
