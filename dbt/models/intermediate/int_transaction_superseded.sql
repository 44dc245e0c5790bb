{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('int_transaction_superseded', source('raw', 'transactions'), ['source_system', 'transaction_id'], 'transaction_id') }}",
    post_hook="{{ mark_applied('int_transaction_superseded', source('raw', 'transactions')) }}",
) }}

{%- set state = applied_state('int_transaction_superseded', source('raw', 'transactions')) %}

with

versions as (
    {% if state is none %}
        select * from {{ ref('stg_transactions') }}
    {% else %}
        {{ transaction_versions(touched=touched_keys(state, source('raw', 'transactions'), ['source_system', 'transaction_id'])) }}
    {% endif %}
)

select *  -- noqa: AM04
from versions
where not is_current
