"""Association rules over product holdings: found and tested anew each day."""

import json
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from dagster_project.lib.build import Build, reading
from dagster_project.lib.miners import MODEL_REFUSAL, Mined, metric_metadata, miner_asset
from dagster_project.lib.model_store import ModelStore
from dagster_project.lib.plots import rule_plot
from mining import association
from mining.knowledge.interpretation import Unit
from warehouse.sources.bank import Bank

HOLDINGS = {"basket": "holdings", "min_support": 0.01, "max_len": 4, "min_confidence": 0.1}
"""Product holdings as of the build's date: an itemset counts from one person in a hundred on."""


def mine(bank: Bank, _store: ModelStore, build: Build, _is_retraining: bool) -> Mined:
    """Find the rules in the product holdings as of the build's date and test each of them."""
    with reading(build, bank) as connection:
        baskets = (
            connection.sql("select person_id as basket, item from features.mining_baskets order by all")
            .to_arrow_table()
            .to_pandas()
        )
        # Persons whose every product is near-universal have a basket too: an empty one.
        counts = connection.sql("select distinct basket_count from features.mining_basket_items").fetchall()
        labels = connection.sql(
            "select product_code, name from core.dim_product where name is not null order by all"
        ).fetchall()
    settings = association.AssociationSettings(
        **HOLDINGS,  # type: ignore[arg-type]
        labels={code: (name, name) for code, name in labels},
        unit=Unit("persons", "位客户"),
    )
    with threadpool_limits(limits=1):
        result = association.mine_rules(baskets, settings, basket_count=counts[0][0] if counts else 0)
    numbers = {name: value for name, value in result.metadata.items() if isinstance(value, int)}
    if len(result.rules):
        numbers["strongest_lift"] = result.rules["lift"].max()
    metrics = pd.DataFrame(
        {
            "run_id": result.run_id,
            "subject": "rules",
            "metric": list(numbers),
            "value": [float(value) for value in numbers.values()],
        }
    )
    refusals = pd.DataFrame(columns=MODEL_REFUSAL.names)
    if result.refused:
        found, needed = str(counts[0][0] if counts else 0), f">= {settings.minimum_baskets}"
        reason_zh = f"购物篮数量不足：{found}，至少需要{settings.minimum_baskets}个。"
        refusals.loc[0] = [result.run_id, "association", "too_few_baskets", result.refused, reason_zh, found, needed]
    metadata: dict[str, Any] = metric_metadata(metrics)
    if len(result.rules):
        metadata["rules"] = rule_plot(result.rules)
    return Mined(
        run_id=result.run_id,
        data_hash=result.run_id,
        parameters=json.dumps({**HOLDINGS, **result.metadata}, sort_keys=True, default=str),
        status="refused" if result.refused else "published",
        reason=result.refused,
        model_as_of=build.as_of,
        rows_in=len(baskets),
        tables={"association_rule": result.rules},
        metrics=metrics,
        refusals=refusals,
        metadata=metadata,
    )


rules = miner_asset(
    "association",
    {
        "association_rule": "Association rules over the products a person holds, tested and in words. | "
        "个人持有产品的关联规则，经过检验并附文字说明。"
    },
    deps=[("features", "mining_baskets"), ("core", "dim_product")],
    check="supported_by_enough_baskets",
    check_description="There were enough baskets to find and test rules; else none are published. | "
    "篮子数量足以发现并检验规则，否则不予发布。",
    mine=mine,
)
