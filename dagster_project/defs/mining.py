"""The miners as assets: each reads one feature table, calls the library, writes its results where dbt finds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_project.defs.resources import Installation
from dagster_project.lib.build import OWNERS, current_build, write_results
from dagster_project.lib.plots import rule_plot
from mining import association


@dg.multi_asset(
    name="association",
    specs=[
        dg.AssetSpec(
            key=["mined", "association_rule"],
            deps=[["features", "mining_baskets"]],
            group_name="mining",
            kinds={"python", "scikitlearn"},
            owners=OWNERS,
            description="Association rules over the products a person holds, tested and in words. | 产品持有关联规则。",
        ),
        dg.AssetSpec(
            key=["mined", "model_run"],
            deps=[["features", "mining_baskets"]],
            group_name="mining",
            kinds={"python"},
            owners=OWNERS,
            description="What each miner was given, how it was set and what came of it. | 挖掘运行记录。",
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "rules_published",
            asset=["mined", "association_rule"],
            blocking=False,
            description="There were enough baskets to find and test rules. | 数据足以支持规则挖掘。",
        )
    ],
    pool="duckdb_writer",
)
def mine_association(
    context: dg.AssetExecutionContext, installation: Installation
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Find the rules in the product holdings as of the build's date and test each of them."""
    raise NotImplementedError
