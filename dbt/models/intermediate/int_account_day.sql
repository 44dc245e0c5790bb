{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched_accounts('int_account_day', source('raw', 'transactions'), ref('fct_transaction'), 'booked_on', onward=true) }}",
    post_hook="{{ mark_applied('int_account_day', source('raw', 'transactions')) }}",
) }}

{%- set state = applied_state('int_account_day', source('raw', 'transactions')) %}

with

days as (
    select
        postings.account_id,
        postings.booked_on,
        sum(case when postings.amount > 0 then postings.amount else 0 end) as inflow_amount,
        sum(case when postings.amount < 0 then postings.amount else 0 end) as outflow_amount,
        sum(postings.amount) as net_amount,
        count(*) as transaction_count,
        count(*) filter (where postings.initiated_by = 'customer') as customer_initiated_count
    from {{ ref('fct_transaction') }} as postings
    {%- if state is not none %}
    inner join touched
        on
            postings.account_id = touched.account_id
            and postings.booked_on >= touched.since_on
    {%- endif %}
    where postings.booked_on <= {{ as_of() }}
    group by postings.account_id, postings.booked_on
)
{%- if state is not none %}
    ,

    -- what the days before the first touched one add up to
    before as (  -- noqa: ST03
        select
            kept.account_id,
            sum(kept.net_amount) as cumulated_amount
        from {{ this }} as kept
        inner join touched on kept.account_id = touched.account_id
        group by kept.account_id
    )
{%- endif %}

select
    days.account_id,
    days.booked_on,
    days.inflow_amount,
    days.outflow_amount,
    days.net_amount,
    days.transaction_count,
    days.customer_initiated_count,
    sum(days.net_amount) over (partition by days.account_id order by days.booked_on rows unbounded preceding)
    {%- if state is not none %}
        + coalesce(before.cumulated_amount, 0)
    {%- endif %} as cumulated_amount
from days
{%- if state is not none %}
    left join before on days.account_id = before.account_id  -- noqa: ST11
{%- endif %}
