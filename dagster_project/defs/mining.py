"""The miners as assets: each reads one feature table, calls the library, writes its results where dbt finds them."""

import json
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import dagster as dg
import pyarrow as pa
from threadpoolctl import threadpool_limits

from dagster_project.defs.resources import Installation
from dagster_project.lib.build import OWNERS, current_build, reading, write_results
from dagster_project.lib.meta import now
from dagster_project.lib.plots import rule_plot
from mining import association
from mining.knowledge.interpretation import Unit

HOLDINGS = {"basket": "holdings", "min_support": 0.01, "max_len": 4, "min_confidence": 0.1}
"""Product holdings as of the build's date: an itemset counts from one person in a hundred on."""

MODEL_RUN = pa.schema(
    [
        ("run_id", pa.string()),
        ("miner", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("as_of", pa.date32()),
        ("started_at", pa.timestamp("us")),
        ("seconds", pa.float64()),
        ("rows_in", pa.int64()),
        ("rows_out", pa.int64()),
        ("parameters", pa.string()),
        ("data_hash", pa.string()),
        ("library_versions", pa.string()),
        ("seed", pa.int64()),
        ("window_from", pa.date32()),
        ("window_to", pa.date32()),
        ("person_count", pa.int64()),
        ("feature_count", pa.int64()),
        ("feature_hash", pa.string()),
        ("method_en", pa.string()),
        ("method_zh", pa.string()),
        ("model_id", pa.string()),
    ]
)
"""Columns of `mined.model_run`; what a miner does not have is absent."""


@dg.multi_asset(
    name="association",
    specs=[
        dg.AssetSpec(
            key=["mined", "association_rule"],
            deps=[["features", "mining_baskets"], ["core", "dim_product"]],
            group_name="mined",
            kinds={"python"},
            owners=OWNERS,
            description="Association rules over the products a person holds, tested and in words. | "
            "个人持有产品的关联规则，经过检验并附文字说明。",
        ),
        dg.AssetSpec(
            key=["mined", "model_run"],
            deps=[["features", "mining_baskets"]],
            group_name="mined",
            kinds={"python"},
            owners=OWNERS,
            description="What each miner was given, how it was set and what came of it. | 挖掘运行记录。",
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "supported_by_enough_baskets",
            asset=["mined", "association_rule"],
            description="There were enough baskets to find and test rules; else none are published. | "
            "篮子数量足以发现并检验规则，否则不予发布。",
        )
    ],
    pool="duckdb_writer",
)
def mine_association(
    context: dg.AssetExecutionContext, installation: Installation
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Find the rules in the product holdings as of the build's date and test each of them."""
    bank = installation.bank
    build = current_build(installation.home)
    started_at, started = now(), time.monotonic()
    with reading(build, bank) as connection:
        baskets = connection.sql(
            "select person_id as basket, item from features.mining_baskets order by all"
        ).to_arrow_table()
        # Persons whose every product is near-universal have a basket too: an empty one.
        counts = connection.sql("select distinct basket_count from features.mining_basket_items").fetchall()
        labels = connection.execute(
            "select product_code, name from core.dim_product where name is not null order by all"
        ).fetchall()
    settings = association.AssociationSettings(
        **HOLDINGS,  # type: ignore[arg-type]
        labels={code: (name, name) for code, name in labels},
        unit=Unit("persons", "位客户"),
    )
    with threadpool_limits(limits=1):
        result = association.mine_rules(baskets.to_pandas(), settings, basket_count=counts[0][0] if counts else 0)
    status = "refused" if result.refused else "published"
    run = pa.Table.from_pylist(
        [
            {
                "run_id": result.run_id,
                "miner": "association",
                "status": status,
                "reason": result.refused,
                "as_of": build.as_of,
                "started_at": started_at,
                "seconds": time.monotonic() - started,
                "rows_in": baskets.num_rows,
                "rows_out": len(result.rules),
                "parameters": json.dumps({**HOLDINGS, **result.metadata}, sort_keys=True, default=str),
                "data_hash": result.run_id,
                "library_versions": json.dumps(
                    {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "scipy")}}
                ),
            }
        ],
        schema=MODEL_RUN,
    )
    rules = pa.Table.from_pandas(result.rules, preserve_index=False)
    write_results(build, bank, {"association_rule": rules, "model_run": run})
    context.log.info(f"{status}: {len(result.rules)} rules over {baskets.num_rows:,} holdings")
    metadata: dict[str, Any] = {
        "dagster/row_count": len(result.rules),
        "run": result.run_id,
        "significant rules": int(result.rules["is_significant"].sum()),
        "rules tested": result.metadata.get("rules_tested", 0),
        "seconds": round(time.monotonic() - started, 3),
    }
    if len(result.rules):
        metadata["strongest lift"] = float(result.rules["lift"].max())
        metadata["rules"] = rule_plot(result.rules)
    yield dg.MaterializeResult(asset_key=["mined", "association_rule"], metadata=metadata)
    yield dg.MaterializeResult(asset_key=["mined", "model_run"], metadata={"dagster/row_count": run.num_rows})
    yield dg.AssetCheckResult(
        asset_key=["mined", "association_rule"],
        check_name="supported_by_enough_baskets",
        passed=result.refused is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "reason": result.refused or "enough",
            "persons": counts[0][0] if counts else 0,
        },
    )
