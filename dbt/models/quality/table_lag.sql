-- sqlfluff:exclude_rules:LT02
{{ config(schema='meta') }}
{#
    Lag = arrival - business time (domain reference, section 0). Rows of an initial load, whose day of knowledge is assumed, arrived with it and say
    nothing of the daily road. Counted by whole hours first, so that fifty million rows are sorted as a few thousand.
#}
{%- set business_times = {
    'account_holders': 'updated_at', 'accounts': 'updated_at', 'balances': 'balance_on', 'campaign_contacts': 'updated_at', 'campaigns': 'updated_at',
    'complaints': 'updated_at', 'contacts': 'updated_at', 'cost_rates': 'valid_from', 'crm_stated_assets': 'as_of', 'customer_relationships': 'updated_at', 'customers': 'updated_at',
    'employees': 'updated_at',
    'ftp_curve': 'rate_on', 'fx_rates': 'rate_on', 'gl_balances': 'month', 'loan_status': 'as_of', 'market_rates': 'rate_on', 'payment_schedule': 'due_on',
    'product_nav': 'nav_on', 'products': 'updated_at', 'relationship_assignments': 'updated_at', 'survey_responses': 'updated_at', 'transactions': 'posted_at',
} -%}
with

lags as (
{%- for table, business_time in business_times.items() %}
    select
        '{{ table }}' as table_name,
        source_system,
        is_known_on_assumed,
        case when not is_known_on_assumed then {{ hours_between(business_time, 'landed_at') }} end as landing_hours,
        case when not is_known_on_assumed then {{ hours_between(business_time, 'cast(known_on as timestamp)') }} end as delivery_hours,
        count(*) as row_count
    from {{ source('raw', table) }}
    where known_on <= {{ as_of() }}
    group by all
    {{ 'union all' if not loop.last }}
{%- endfor %}
),

tables as (
    select
        table_name,
        source_system,
        sum(row_count) as row_count,
        coalesce(sum(row_count) filter (where landing_hours is not null), 0) as timed_count
    from lags
    group by table_name, source_system
),

{%- for measure in ['landing_hours', 'delivery_hours'] %}
{{ measure }} as (
    select
        table_name,
        source_system,
        min(hours) filter (where 2 * cumulated >= total) as p50,
        min(hours) filter (where 20 * cumulated >= 19 * total) as p95
    from (
        select
            table_name,
            source_system,
            {{ measure }} as hours,
            sum(sum(row_count)) over (partition by table_name, source_system order by {{ measure }}) as cumulated,
            sum(sum(row_count)) over (partition by table_name, source_system) as total
        from lags
        where {{ measure }} is not null
        group by table_name, source_system, {{ measure }}
    ) as counted
    group by table_name, source_system
){{ ',' if not loop.last }}
{% endfor %}
select
    tables.table_name,
    tables.source_system,
    cast(tables.row_count as bigint) as row_count,
    cast(tables.timed_count as bigint) as timed_count,
    cast(landing_hours.p50 as bigint) as landing_p50_hours,
    cast(landing_hours.p95 as bigint) as landing_p95_hours,
    cast(delivery_hours.p50 as bigint) as delivery_p50_hours,
    cast(delivery_hours.p95 as bigint) as delivery_p95_hours,
    case when tables.timed_count = 0 then 'no row came on a day of its own (initial load) with a time of its own' end as lag_absence,
    case when tables.timed_count = 0 then '尚无按日到达且带时间的数据（初始装载）' end as lag_absence_zh
from tables
left join landing_hours on tables.table_name = landing_hours.table_name and tables.source_system = landing_hours.source_system
left join delivery_hours on tables.table_name = delivery_hours.table_name and tables.source_system = delivery_hours.source_system
