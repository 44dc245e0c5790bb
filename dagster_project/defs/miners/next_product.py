"""The next best product of each person: proven out of time each day, published only while it beats popularity."""

import json
from dataclasses import asdict
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from dagster_project.lib.build import Build, reading
from dagster_project.lib.miner_assets import miner_asset
from dagster_project.lib.miner_holdings import history_from, holdings, persons_at, product_labels
from dagster_project.lib.miners import Mined, Stopwatch, library_versions, metric_metadata
from dagster_project.lib.model_store import ModelStore
from mining import association
from mining.association.next_product import LIST_COLUMNS, NextProductResult
from mining.gates import METRIC_COLUMNS, Refusal, refusal_frame, text_hash
from warehouse.sources.bank import Bank

SETTINGS = association.NextProductSettings()
METHOD_EN = (
    "Logistic regression per product on products held, age band and decile of assets, learnt on what was taken up in "
    "the period before the last and judged on the last; published learnt on the last. Eligible: not held, on sale, "
    "suitable by risk profile and age."
)
METHOD_ZH = (
    "按产品对已持有产品、年龄段与资产十分位做逻辑回归，以上上期新开学习、以上期检验，发布时以上期学习；"
    "仅推荐未持有、在售且符合风险等级与年龄要求的产品。"
)


def mine(bank: Bank, _store: ModelStore, build: Build, _is_retraining: bool) -> Mined:
    """Name each person's next best products, if that is proven to beat naming the most popular ones."""
    watch = Stopwatch()
    last_on = association.months_before(build.as_of, SETTINGS.months)
    before_on = association.months_before(build.as_of, 2 * SETTINGS.months)
    with reading(build, bank) as connection:
        held, since, labels = holdings(connection), history_from(connection), product_labels(connection)
        products = connection.sql("select * from features.mining_product order by item").to_arrow_table().to_pandas()
        days = (before_on, last_on, build.as_of)
        persons = [persons_at(connection, day) for day in days]
    products = products.set_index("item").reindex(list(held.items))
    if since is None or before_on < since:
        result = without_history(build, str(since), str(before_on))
    else:
        margins = [None if pd.isna(margin) else margin for margin in products["expected_margin_base"]]
        with threadpool_limits(limits=1):
            before, last, now = association.periods_of(held, persons, products, days)
            result = association.recommend(
                held.persons.tolist(),
                held.items,
                before=before,
                last=last,
                now=now,
                margins=margins,
                labels=labels,
                settings=SETTINGS,
            )
    reasons = result.refusals
    run = {
        "run_id": result.run_id,
        "miner": "next_product",
        "status": "refused" if reasons else "published",
        "reason_en": " ".join(reason.sentence_en for reason in reasons) or None,
        "reason_zh": "".join(reason.sentence_zh for reason in reasons) or None,
        "as_of": build.as_of,
        "started_at": watch.started_at,
        "seconds": watch.seconds,
        "row_count": len(held.person),
        "person_count": len(held.persons),
        "feature_count": len(held.items) + 2,
        "window_from": before_on.isoformat(),
        "window_to": build.as_of.isoformat(),
        "parameters": json.dumps(asdict(SETTINGS), sort_keys=True),
        "library_versions": library_versions(),
        "method_en": METHOD_EN,
        "method_zh": METHOD_ZH,
    }
    metadata: dict[str, Any] = metric_metadata(result.metrics)
    return Mined(
        status=str(run["status"]),
        runs=pd.DataFrame([run]),
        tables={"next_best_product": result.products},
        metrics=result.metrics,
        refusals=refusal_frame(reasons, result.run_id),
        metadata=metadata,
    )


def without_history(build: Build, since: str, needed: str) -> NextProductResult:
    """What is said where two periods of history are not there."""
    refusal = Refusal(
        "too_short_history",
        f"Next products are learnt on one period and proven on the next, {2 * SETTINGS.months} months in all; holdings "
        f"are known since {since}, and {needed} is needed.",
        f"推荐需以一期学习、以下一期检验，共{2 * SETTINGS.months}个月；持有数据自{since}起，需自{needed}起。",
        since,
        f"{needed} or earlier",
    )
    run_id = text_hash("next_product", build.as_of.isoformat(), since)
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in LIST_COLUMNS.items()})
    return NextProductResult(run_id, empty, pd.DataFrame(columns=list(METRIC_COLUMNS)), (refusal,))


next_products = miner_asset(
    "next_product",
    {
        "next_best_product": "The products each person is likely to take up next, with the reason. | "
        "客户下一产品推荐及理由。"
    },
    deps=[
        ("features", "mining_holding"),
        ("features", "mining_product"),
        ("features", "mining_features_customer_month"),
        ("core", "dim_customer"),
    ],
    check="beats_popularity_out_of_time",
    check_description="In the last period the list named what persons took up more often than popularity did; else "
    "none is published. | 上期命中率高于热门推荐，否则不予发布。",
    mine=mine,
)
