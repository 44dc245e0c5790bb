{{ config(materialized='view') }}

with

versions as (
    select
        account_id,
        booked_on,
        amount,
        amount_base,
        kind,
        channel,
        initiated_by,
        counterparty_bank,
        counterparty_kind,
        balance_after,
        known_on as known_from,
        {{ open_end() }} as known_to
    from {{ ref('fct_transaction') }}
    union all
    select
        account_id,
        booked_on,
        amount,
        {{ in_base('amount', 'currency') }} as amount_base,
        kind,
        channel,
        initiated_by,
        counterparty_bank,
        counterparty_kind,
        balance_after,
        known_from,
        known_to
    from {{ ref('int_transaction_superseded') }}
),

seen as (
    select
        *,
        {{ month_start('booked_on') }} as booked_month_on,
        {{ month_start('greatest(booked_on, known_from)') }} as seen_month_on,
        {{ month_start('known_to') }} as gone_month_on
    from versions
)

select *
from seen
where seen_month_on < gone_month_on
