"""Segments: assigned each day by the model in force, found anew by `retrain`."""

from pathlib import Path
from typing import Any

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
    read_panel,
)
from dagster_project.lib.model_store import ModelStore, Promotion
from dagster_project.lib.plots import segment_plot
from mining import segmentation
from mining.gates import MinerResult
from warehouse.sources.bank import Bank

FRAMES = {
    "segment": "segments",
    "segment_profile": "profile",
    "segment_event": "events",
    "segment_migration": "migration",
    "segment_drift": "drift",
    "segment_choice": "choices",
    "segment_column": "columns",
}
"""Table in schema ``mined``: frame of the library's result."""


def previous_segments(promotion: Promotion | None) -> segmentation.PreviousSegments | None:
    """The segments in force, for a new fit to be matched with."""
    if promotion is None:
        return None
    frames = promotion.frames()
    return segmentation.PreviousSegments(
        assignments=frames["assignments"],
        segments=frames["segments"],
        highest_segment_id=int(frames["highest"]["segment_id"].iloc[0]),
        reference=frames["reference"],
    )


def mine(bank: Bank, store: ModelStore, build: Build, is_retraining: bool) -> Mined:
    """Give each customer the segment of the model in force."""
    panel = read_panel(build, bank)
    names = feature_names(build, bank)
    features = segmentation.usual_features(panel).loc[present_customers(panel).index] if len(panel) else panel

    def fit(promotion: Promotion | None) -> tuple[MinerResult, Save | None]:
        result = segmentation.fit(features, previous=previous_segments(promotion), names=names)
        model = result.model

        def save(folder: Path) -> str:
            pd.DataFrame({"segment_id": [result.highest_segment_id]}).to_parquet(folder / "highest.parquet")
            return segmentation.save_model(model, folder)[1].model_id if model is not None else ""

        return result, None if model is None else save

    def apply(promotion: Promotion) -> pd.DataFrame:
        model = segmentation.load_model(promotion.model_file, promotion.model_id)
        return model.assign(features).assign(run_id=promotion.run_id)

    shown, rows = model_in_force("segmentation", store, build, is_retraining=is_retraining, fit=fit, apply=apply)
    frames = shown.frames
    metadata: dict[str, Any] = {}
    if len(frames["profile"]):
        metadata["segments against all"] = segment_plot(frames["segments"], frames["profile"])
    metadata |= metric_metadata(frames["metrics"])
    return Mined(
        status=shown.status,
        runs=shown.runs,
        tables={
            **{table: frames[name] for table, name in FRAMES.items()},
            "segment_assignment": frames["assignments"] if rows is None else rows,
        },
        metrics=frames["metrics"],
        refusals=shown.refusals,
        metadata=metadata,
    )


segments = miner_asset(
    "segmentation",
    {
        "segment": "Segments of customers: names, size, stability. | 客户分群：名称、规模与稳定性。",
        "segment_assignment": "The segment of each person. | 每位客户所属的分群。",
        "segment_profile": "What sets each segment apart, column by column. | 各分群的特征画像。",
        "segment_event": "What became of the segments of the run before. | 分群的延续、新增、消失、拆分与合并。",
        "segment_migration": "Moves between segments since the run before. | 分群迁移。",
        "segment_drift": "How far the columns of a segment moved since the run before. | 分群漂移。",
        "segment_choice": "Numbers of segments side by side: separation, stability, which was chosen. | 分群数比较。",
        "segment_column": "Use of each feature. | 特征使用情况。",
    },
    deps=[("features", "mining_features_customer_month")],
    check="segments_are_stable",
    check_description="Segments were found, are stable and better than chance; else nothing new is published. | "
    "分群稳定且优于随机，否则不发布新结果。",
    mine=mine,
)
