"""Segments: assigned each day by the model in force, found anew by `retrain`."""

from typing import Any

import pandas as pd

from dagster_project.lib.build import Build
from dagster_project.lib.miners import Mined, metric_metadata, miner_asset, read_panel, reason_of
from dagster_project.lib.model_store import ModelStore, Promotion
from dagster_project.lib.plots import segment_plot
from mining import segmentation
from warehouse.sources.bank import Bank

FRAMES = {
    "segment": "segments",
    "segment_assignment": "assignments",
    "segment_profile": "profile",
    "segment_event": "events",
    "segment_migration": "migration",
    "segment_drift": "drift",
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
    """Fit when asked for or when no model is in force yet; then give each person its segment."""
    features = segmentation.usual_features(read_panel(build, bank))
    promotion = store.current("segmentation")
    result = None
    if is_retraining or promotion is None:
        result = segmentation.fit(features, previous=previous_segments(promotion))
        model = result.model
        if model is not None:
            highest = pd.DataFrame({"segment_id": [result.highest_segment_id]})
            promotion = store.promote(
                "segmentation",
                result.run.run_id,
                build.as_of,
                {**result.frames(), "highest": highest},
                lambda folder: segmentation.save_model(model, folder)[1].model_id,
            )
    if promotion is None:
        assert result is not None  # noqa: S101 - fitted above
        frames = result.frames()
    else:
        frames = promotion.frames()
        in_force = segmentation.load_model(promotion.model_file, promotion.model_id)
        frames["assignments"] = in_force.assign(features).assign(run_id=promotion.run_id)
    run = frames["run"].iloc[0]
    metadata: dict[str, Any] = metric_metadata(frames["metrics"])
    if len(frames["profile"]):
        metadata["segments against all"] = segment_plot(frames["segments"], frames["profile"])
    reason = None if result is None else reason_of(result)
    return Mined(
        run_id=run["run_id"],
        data_hash=run["data_hash"],
        parameters=run["parameters"],
        status="refused" if promotion is None else "published" if reason is None else "kept",
        reason=reason,
        model_as_of=None if promotion is None else promotion.as_of,
        rows_in=len(features),
        tables={table: frames[name] for table, name in FRAMES.items()},
        metrics=frames["metrics"],
        refusals=frames["refusals"] if result is None else result.frames()["refusals"],
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
    },
    deps=[("features", "mining_features_customer_month")],
    check="segments_are_stable",
    check_description="Segments were found, are stable and better than chance; else nothing new is published. | "
    "分群稳定且优于随机，否则不发布新结果。",
    mine=mine,
)
