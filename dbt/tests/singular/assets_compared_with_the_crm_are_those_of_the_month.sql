{{ config(meta={'dagster': {'ref': {'name': 'customer_asset_gap'}}}) }}
-- AUM from core on the last day of a month, or on the as-of date, is the month's AUM at its end
select
    gaps.person_id,
    gaps.stated_on,
    gaps.aum_core_base,
    months.aum_period_end_base
from {{ ref('customer_asset_gap') }} as gaps
inner join {{ ref('fct_customer_month') }} as months
    on
        gaps.person_id = months.person_id
        and months.month_start_on = {{ month_start('gaps.stated_on') }}
where
    gaps.stated_on = least({{ month_end('gaps.stated_on') }}, {{ as_of() }})
    and gaps.aum_core_base <> months.aum_period_end_base
