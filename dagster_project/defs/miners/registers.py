"""The tables that all miners share: each miner replaces its own rows of them while it runs."""

import dagster as dg

from dagster_project.lib.build import OWNERS

_MINERS = (
    "association_rule",
    "next_best_product",
    "segment",
    "loyalty_score",
    "churn_closure_or_drop_score",
    "churn_dormancy_score",
)
_MEANINGS = {
    "model_run": "Runs of the miners: what is shown, and what was refused. | 挖掘运行登记。",
    "model_metric": "Metrics of the miners with their intervals. | 评估指标。",
    "model_refusal": "Why a miner published nothing new. | 拒绝原因。",
}


@dg.definitions
def definitions() -> dg.Definitions:
    """They are written by the miners' assets, so that they are shown but not run by themselves."""
    return dg.Definitions(
        assets=[
            dg.AssetSpec(
                key=["mined", table],
                deps=[["mined", miner] for miner in _MINERS],
                group_name="mined",
                kinds={"duckdb"},
                owners=OWNERS,
                description=meaning,
            )
            for table, meaning in _MEANINGS.items()
        ]
    )
