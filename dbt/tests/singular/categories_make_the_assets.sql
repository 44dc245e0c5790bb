{{ config(meta={'dagster': {'ref': {'name': 'customer_asset_category_month'}}}) }}
-- the categories of a person and month add up to the person's assets and loans
with

summed as (
    select
        person_id,
        month_start_on,
        coalesce(sum(average_base) filter (where asset_side = 'aum'), 0) as aum_average,
        coalesce(sum(period_end_base) filter (where asset_side = 'aum'), 0) as aum_period_end,
        coalesce(sum(average_base) filter (where asset_side = 'lum'), 0) as lum_average,
        coalesce(sum(period_end_base) filter (where asset_side = 'lum'), 0) as lum_period_end
    from {{ ref('customer_asset_category_month') }}
    group by person_id, month_start_on
)

select
    totals.person_id,
    totals.month_start_on
from {{ ref('customer_asset_month') }} as totals
left join summed on totals.person_id = summed.person_id and totals.month_start_on = summed.month_start_on
where
    coalesce(summed.aum_average, 0) <> totals.aum_average_base
    or coalesce(summed.aum_period_end, 0) <> totals.aum_period_end_base
    or coalesce(summed.lum_average, 0) <> totals.lum_average_base
    or coalesce(summed.lum_period_end, 0) <> totals.lum_period_end_base
