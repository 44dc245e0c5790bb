"""Jobs and schedules: when the graph runs."""

import dagster as dg

from dagster_project.defs.extraction import FULL_REBUILD_TAG
from dagster_project.lib.environment import Environment, bank_of
from dagster_project.lib.miner_assets import RETRAIN_TAG

daily_refresh = dg.define_asset_job(
    "daily_refresh",
    selection=dg.AssetSelection.all(),
    description="Land what the bank delivered, bring the warehouse up to date, mine it, publish a release. | "
    "接收当日数据，更新数据仓库，挖掘并发布。",
)

full_rebuild = dg.define_asset_job(
    "full_rebuild",
    selection=dg.AssetSelection.all(),
    tags={FULL_REBUILD_TAG: "true"},
    description="The same, into a new warehouse file made from landing alone. | 由已接收数据全量重建。",
)

retrain = dg.define_asset_job(
    "retrain",
    selection=dg.AssetSelection.all(),
    tags={RETRAIN_TAG: "true"},
    description="The daily refresh with every model fitted anew; a model that fails its gates does not replace the one "
    "in force. | 重新训练全部模型；未通过检验的模型不会替换现有模型。",
)


@dg.definitions
def definitions() -> dg.Definitions:
    """The jobs, and the schedule at 02:00 in the bank's own time zone."""
    bank = bank_of(Environment.read().source)
    nightly = dg.ScheduleDefinition(
        name="daily_refresh_schedule",
        job=daily_refresh,
        cron_schedule="0 2 * * *",
        execution_timezone=bank.settings.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Every night at 02:00 bank time. | 每日银行当地时间02:00。",
    )
    monthly = dg.ScheduleDefinition(
        name="retrain_schedule",
        job=retrain,
        cron_schedule="0 5 2 * *",
        execution_timezone=bank.settings.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="The second of each month at 05:00 bank time, after the month has closed. | 每月2日05:00重新训练。",
    )
    return dg.Definitions(jobs=[daily_refresh, full_rebuild, retrain], schedules=[nightly, monthly])
