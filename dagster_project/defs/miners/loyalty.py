"""Loyalty: an index per customer, from the measures the mapped tables allow, with its proof."""

from typing import Any

from dagster_project.lib.build import Build
from dagster_project.lib.miner_assets import miner_asset
from dagster_project.lib.miners import Mined, Stopwatch, metric_metadata, read_outcomes, read_panel, run_rows
from dagster_project.lib.model_store import ModelStore
from dagster_project.lib.plots import retention_plot
from mining import loyalty
from warehouse.sources.bank import Bank


def mine(bank: Bank, _store: ModelStore, build: Build, _is_retraining: bool) -> Mined:
    """The index is a formula, not a fit: it is worked out anew each day."""
    watch = Stopwatch()
    result = loyalty.fit(read_panel(build, bank), outcomes=read_outcomes(build, bank))
    frames = result.frames()
    runs = run_rows("loyalty", build, watch, result, None)
    metadata: dict[str, Any] = {"proof": result.proof_en}
    if len(frames["retention"]):
        metadata["retention by decile"] = retention_plot(frames["retention"])
    metadata |= metric_metadata(frames["metrics"])
    return Mined(
        status=str(runs["status"].iloc[0]),
        runs=runs,
        tables={
            "loyalty_score": frames["customers"],
            "loyalty_measure": frames["measures"],
            "loyalty_retention": frames["retention"],
        },
        metrics=frames["metrics"],
        refusals=frames["refusals"],
        metadata=metadata,
    )


loyalty_index = miner_asset(
    "loyalty",
    {
        "loyalty_score": "Index, level and measures of each person. | 每位客户的忠诚度指数、等级与度量。",
        "loyalty_measure": "The ten measures: available or why not, weights. | 十项度量：是否可得、原因与权重。",
        "loyalty_retention": "Next-period retention by decile of the index: the proof. | "
        "按忠诚度十分位的下期留存（验证）。",
    },
    deps=[("features", "mining_features_customer_month"), ("features", "customer_month_outcome")],
    check="loyalty_means_something",
    check_description="Enough measures and customers, else no index is published; a column says whether it is "
    "proven by retention. | "
    "度量与客户足够，否则不发布指数；留存是否随指数上升另列标明。",
    mine=mine,
)
