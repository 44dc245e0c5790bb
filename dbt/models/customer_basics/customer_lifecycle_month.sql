with

stages as (
    select
        *,
        lag(stage) over history as previous_stage,
        coalesce(stage <> lag(stage) over history, true) as is_new
    from {{ ref('int_person_month_stage') }}
    window history as (partition by person_id order by month_number)
)

select
    person_id,
    month_start_on,
    stage as lifecycle_stage,
    previous_stage,
    cast(
        month_number - max(case when is_new then month_number end) over (
            partition by person_id order by month_number rows unbounded preceding
        ) + 1 as integer
    ) as stage_months,
    is_won_back,
    case when stage <> 'potential' then cast(tenure_months as integer) end as tenure_months,
    cast(product_count as integer) as product_count,
    case when stage <> 'potential' then silent_days end as silent_days,
    {{ ratio('(aum_3m - aum_before_3m)', 'aum_before_3m') }} as aum_trend_ratio,
    {{ ratio('(activity_3m - activity_before_3m)', 'activity_before_3m') }} as activity_trend_ratio
from stages
