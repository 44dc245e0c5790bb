{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('fct_transaction', source('raw', 'transactions'), ['source_system', 'transaction_id'], 'transaction_id') }}",
    post_hook="{{ mark_applied('fct_transaction', source('raw', 'transactions')) }}",
) }}

{%- set state = applied_state('fct_transaction', source('raw', 'transactions')) %}

with

versions as (
    {% if state is none %}
        select * from {{ ref('stg_transactions') }}
    {% else %}
        {{ transaction_versions(touched=touched_keys(state, source('raw', 'transactions'), ['source_system', 'transaction_id'])) }}
    {% endif %}
)

select
    transaction_id,
    source_system,
    account_id,
    posted_at,
    booked_on,
    value_on,
    currency,
    amount,
    {{ in_base('amount', 'currency') }} as amount_base,
    kind,
    channel,
    initiated_by,
    branch_id,
    counterparty_bank,
    counterparty_kind,
    merchant_category,
    place_city,
    fee_amount,
    balance_after,
    reverses_transaction_id,
    known_from as known_on,
    is_known_on_assumed
from versions
where is_current
