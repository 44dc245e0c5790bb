{{ config(materialized='view') }}

with

anchored as (
    select distinct
        account_id,
        anchored_on
    from {{ ref('int_account_anchor_known') }}
)

-- what an anchor of a later day already contains does not count again
select
    account_id,
    seen_month_on,
    gone_month_on,
    net_amount,
    balance_days_amount,
    last_customer_on
from {{ ref('int_account_month_booked') }}
union all
select
    transactions.account_id,
    transactions.seen_month_on,
    transactions.gone_month_on,
    -sum(transactions.amount) as net_amount,
    -sum(
        transactions.amount
        * ({{ days_between('greatest(transactions.booked_on, transactions.seen_month_on)', 'last_day(transactions.seen_month_on)') }} + 1)
    ) as balance_days_amount,
    cast(null as date) as last_customer_on
from {{ ref('int_transaction_known') }} as transactions
inner join anchored
    on
        transactions.account_id = anchored.account_id
        and transactions.booked_on <= anchored.anchored_on
group by transactions.account_id, transactions.seen_month_on, transactions.gone_month_on
