"""Association rules over product holdings: found and tested anew each day."""

import json
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from dagster_project.lib.build import Build, reading
from dagster_project.lib.miner_assets import miner_asset
from dagster_project.lib.miners import MODEL_REFUSAL, Mined, Stopwatch, library_versions, metric_metadata
from dagster_project.lib.model_store import ModelStore
from dagster_project.lib.plots import rule_heatmap, rule_plot
from mining import association
from mining.knowledge.interpretation import Unit
from warehouse.sources.bank import Bank

HOLDINGS = {"basket": "holdings", "min_support": 0.01, "max_len": 4, "min_confidence": 0.1}
"""Product holdings as of the build's date: an itemset counts from one person in a hundred on."""
METHOD_EN = (
    "Exact frequent itemsets; Fisher's exact test of every rule, false discovery rate bounded by Benjamini-Hochberg "
    "over all rules tested; Wilson intervals."
)
METHOD_ZH = "精确频繁项集；对每条规则做 Fisher 精确检验，以 Benjamini-Hochberg 控制全部检验的错误发现率；Wilson 区间。"


def mine(bank: Bank, _store: ModelStore, build: Build, _is_retraining: bool) -> Mined:
    """Find the rules in the product holdings as of the build's date and test each of them."""
    watch = Stopwatch()
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
    refusals, reason_zh = pd.DataFrame(columns=MODEL_REFUSAL.names), None
    if result.refused:
        found, needed = str(counts[0][0] if counts else 0), f">= {settings.minimum_baskets}"
        reason_zh = f"持有产品的客户不足：{found} 位，至少需要 {settings.minimum_baskets} 位。"
        refusals.loc[0] = [result.run_id, "association", "too_few_baskets", result.refused, reason_zh, found, needed]
    metadata: dict[str, Any] = {}
    if len(result.rules):
        metadata = {"rules": rule_plot(result.rules), "lift": rule_heatmap(result.rules)}
    metadata |= metric_metadata(metrics)
    run = {
        "run_id": result.run_id,
        "miner": "association",
        "status": "refused" if result.refused else "published",
        "reason_en": result.refused,
        "reason_zh": reason_zh,
        "as_of": build.as_of,
        "started_at": watch.started_at,
        "seconds": watch.seconds,
        "row_count": len(baskets),
        "person_count": counts[0][0] if counts else 0,
        "feature_count": result.metadata.get("item_count"),
        "window_to": build.as_of.isoformat(),
        "parameters": json.dumps({**HOLDINGS, **result.metadata}, sort_keys=True, default=str),
        "library_versions": library_versions(),
        "method_en": METHOD_EN,
        "method_zh": METHOD_ZH,
    }
    return Mined(
        status=str(run["status"]),
        runs=pd.DataFrame([run]),
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
