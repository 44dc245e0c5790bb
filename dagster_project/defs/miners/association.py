"""Association rules over product holdings: found, tested and judged anew each day, one run per mining task."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from dagster_project.lib.build import Build, reading
from dagster_project.lib.miner_assets import miner_asset
from dagster_project.lib.miner_holdings import history_from, holdings, near_universal, persons_at, product_labels
from dagster_project.lib.miners import MODEL_REFUSAL, Mined, Stopwatch, library_versions, metric_metadata
from dagster_project.lib.mining_tasks import saying_where, tasks_of
from dagster_project.lib.model_store import ModelStore
from dagster_project.lib.plots import rule_heatmap, rule_plot
from mining.association.task import MiningTask, TaskResult, findings, run_task
from mining.knowledge.register import register
from warehouse.sources.bank import Bank

METHOD_EN = (
    "Exact frequent itemsets; Fisher's exact test of every rule, false discovery rate bounded by Benjamini-Hochberg "
    "over all rules tested; Wilson intervals. Verified: found again on baskets held out, holds within strata, does not "
    "turn round there, not contradicted in the next period."
)
METHOD_ZH = (
    "精确频繁项集；对每条规则做 Fisher 精确检验，以 Benjamini-Hochberg 控制全部检验的错误发现率；Wilson 区间。"
    "经验证：在留出样本中重现、分层后成立且不反转、下一期未被否定。"
)


def run_row(task: MiningTask, result: TaskResult, build: Build, watch: Stopwatch) -> dict[str, Any]:
    """The row of `MODEL_RUN` of one task."""
    rules, funnel = result.rules, result.funnel
    persons = int(str(rules.metadata["basket_count"]))
    said = {"task": task.name, "owner": task.owner, "target_verified": task.target_verified}
    met = {"is_target_met": funnel["rules_verified"] >= task.target_verified}
    bounds = {"baskets": task.baskets, "months": task.months, "population": task.population, "strata": task.strata}
    return {
        "run_id": rules.run_id,
        "miner": "association",
        "status": "refused" if rules.refused else "published",
        "reason_en": rules.refused,
        "reason_zh": reason_zh(task, persons) if rules.refused else None,
        "as_of": build.as_of,
        "started_at": watch.started_at,
        "seconds": watch.seconds,
        "row_count": persons,
        "person_count": persons,
        "feature_count": rules.metadata.get("item_count"),
        "window_to": build.as_of.isoformat(),
        "parameters": json.dumps({**said, **bounds, **rules.metadata, **funnel, **met}, sort_keys=True, default=str),
        "library_versions": library_versions(),
        "method_en": METHOD_EN,
        "method_zh": METHOD_ZH,
    }


def reason_zh(task: MiningTask, persons: int) -> str:
    """Why a task was refused, in Chinese."""
    return f"任务{task.name}：有购物篮的客户不足：{persons:,}位，至少需要{task.settings.minimum_baskets:,}位。"


def mine(bank: Bank, _store: ModelStore, build: Build, _is_retraining: bool) -> Mined:
    """Find the rules of every task, put them to their tests, and register them with what experts said."""
    watch = Stopwatch()
    with reading(build, bank) as connection:
        held, persons = holdings(connection), persons_at(connection, build.as_of)
        left_out, since, labels = near_universal(connection), history_from(connection), product_labels(connection)
        verdicts = connection.sql("select * from decision.verdict order by sequence").to_arrow_table().to_pandas()
    runs, tables, metrics, refusals, registered = [], [], [], [], []
    for each in tasks_of(bank):
        task = replace(each, settings=replace(each.settings, labels=labels))
        with threadpool_limits(limits=1), saying_where(task):
            result = run_task(task, held, persons, build.as_of, left_out=left_out, history_from=since)
        numbers = {name: value for name, value in result.rules.metadata.items() if isinstance(value, int)}
        numbers |= {**result.funnel, "rules_verified_target": task.target_verified}
        if len(result.rules.rules):
            numbers["strongest_lift"] = result.rules.rules["lift"].max()
        values = [float(value) for value in numbers.values()]
        subject = "rules" if task.name == "holdings" else task.name
        metrics.append(
            pd.DataFrame({"run_id": result.rules.run_id, "subject": subject, "metric": list(numbers), "value": values})
        )
        runs.append(run_row(task, result, build, watch))
        tables.append(result.rules.rules)
        registered.append(findings(task, result))
        if result.rules.refused:
            row = runs[-1]
            found, needed = str(row["person_count"]), f">= {task.settings.minimum_baskets}"
            refusals.append(
                [row["run_id"], "association", "too_few_baskets", row["reason_en"], row["reason_zh"], found, needed]
            )
    rules = pd.concat(tables, ignore_index=True)
    metadata: dict[str, Any] = {}
    if len(rules):
        metadata = {"rules": rule_plot(rules), "lift": rule_heatmap(rules)}
    metadata |= metric_metadata(pd.concat(metrics, ignore_index=True))
    known = register(pd.concat(registered, ignore_index=True), with_dates(verdicts), build.as_of)
    return Mined(
        status="published" if any(run["status"] == "published" for run in runs) else "refused",
        runs=pd.DataFrame(runs),
        tables={"association_rule": rules, "knowledge_register": known},
        metrics=pd.concat(metrics, ignore_index=True),
        refusals=pd.DataFrame(refusals, columns=MODEL_REFUSAL.names),
        metadata=metadata,
    )


def with_dates(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Verdicts with their days as dates, whatever pandas made of them."""
    for name in ("judged_as_of", "expires_on"):
        verdicts[name] = [day if isinstance(day, date) else pd.Timestamp(day).date() for day in verdicts[name]]
    return verdicts


rules = miner_asset(
    "association",
    {
        "association_rule": "Association rules over the products a person holds, tested and in words. | "
        "个人持有产品的关联规则，经过检验并附文字说明。",
        "knowledge_register": "Every finding with its tests and the verdicts of experts. | "
        "知识登记：全部发现及其检验与专家裁定。",
    },
    deps=[
        ("features", "mining_holding"),
        ("features", "mining_basket_items"),
        ("features", "mining_features_customer_month"),
        ("core", "dim_customer"),
        ("core", "dim_product"),
    ],
    check="supported_by_enough_baskets",
    check_description="There were enough baskets to find and test rules; else none are published. | "
    "篮子数量足以发现并检验规则，否则不予发布。",
    mine=mine,
)
