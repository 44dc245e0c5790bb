{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched_accounts('int_account_month_flow', source('raw', 'transactions'), ref('fct_transaction'), 'month_start_on') }}",
    post_hook="{{ mark_applied('int_account_month_flow', source('raw', 'transactions')) }}",
) }}

{%- set state = applied_state('int_account_month_flow', source('raw', 'transactions')) %}

with

-- the other side of what is reversed, and its direction
reversed as (
    select
        reversals.transaction_id,
        originals.amount,
        originals.kind,
        originals.counterparty_kind,
        originals.counterparty_bank
    from {{ ref('fct_transaction') }} as reversals
    inner join {{ ref('fct_transaction') }} as originals on reversals.reverses_transaction_id = originals.transaction_id
    where reversals.reverses_transaction_id is not null
),

described as (
    select
        postings.account_id,
        {{ month_start('postings.booked_on') }} as month_start_on,
        postings.amount,
        postings.amount_base,
        coalesce(reversed.amount, postings.amount) as described_amount,
        case when reversed.transaction_id is null then postings.kind else reversed.kind end as kind,
        case when reversed.transaction_id is null then postings.counterparty_kind else reversed.counterparty_kind end as counterparty_kind,
        case when reversed.transaction_id is null then postings.counterparty_bank else reversed.counterparty_bank end as counterparty_bank
    from {{ ref('fct_transaction') }} as postings
    left join reversed on postings.transaction_id = reversed.transaction_id
    {%- if state is not none %}
        inner join touched
            on
                postings.account_id = touched.account_id
                and {{ month_start('postings.booked_on') }} = touched.since_on
    {%- endif %}
    where postings.booked_on <= {{ as_of() }}
),

classified as (
    select
        *,
        {{ money_flow_component('described_amount', 'kind', 'counterparty_kind', 'counterparty_bank') }} as component
    from described
)

select
    account_id,
    month_start_on,
    component,
    case
        when component in ('external_bank', 'external_wallet', 'external_money_fund')
            then coalesce(counterparty_bank, 'not stated')
    end as counterparty_name,
    count(*) as transaction_count,
    count(*) filter (where amount_base is null) as without_rate_count,
    coalesce(sum(amount_base) filter (where amount > 0), 0) as inflow_base,
    coalesce(sum(amount_base) filter (where amount < 0), 0) as outflow_base
from classified
group by all
