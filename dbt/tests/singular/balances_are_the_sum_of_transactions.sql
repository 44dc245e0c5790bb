-- Per account: balance before the first transaction + all transactions = current balance; monthly flows = transactions.
{{ config(meta={'dagster': {'ref': {'name': 'fct_account_balance'}}}) }}

with

transactions as (
    select
        account_id,
        sum(amount) as amount
    from {{ ref('fct_transaction') }}
    where booked_on <= {{ as_of() }}
    group by account_id
),

months as (
    select
        account_id,
        sum(inflow_amount + outflow_amount) as amount
    from {{ ref('fct_account_month') }}
    group by account_id
)

select
    accounts.account_id,
    accounts.anchor_amount,
    transactions.amount as transactions_amount,
    months.amount as months_amount,
    balances.balance_amount
from {{ ref('dim_account') }} as accounts
inner join transactions on accounts.account_id = transactions.account_id
left join months on accounts.account_id = months.account_id
left join {{ ref('fct_account_balance') }} as balances on accounts.account_id = balances.account_id and balances.is_current
where
    coalesce(months.amount <> transactions.amount, true)
    or (accounts.has_balance and coalesce(balances.balance_amount <> accounts.anchor_amount + transactions.amount, true))
