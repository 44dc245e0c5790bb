-- Per month: flows and transactions of all persons = those of all accounts with an owner.
{{ config(meta={'dagster': {'ref': {'name': 'fct_customer_month'}}}) }}

with

accounts as (
    select
        account_months.month_start_on,
        sum(account_months.transaction_count) as transaction_count,
        sum(account_months.customer_initiated_count) as customer_initiated_count,
        count(*) filter (where account_months.inflow_amount is not null and account_months.inflow_base is null) as foreign_count,
        sum(account_months.inflow_base) as inflow_base,
        sum(account_months.outflow_base) as outflow_base
    from {{ ref('fct_account_month') }} as account_months
    inner join {{ ref('dim_account') }} as accounts on account_months.account_id = accounts.account_id
    where accounts.person_id is not null
    group by account_months.month_start_on
),

customers as (
    select
        month_start_on,
        sum(transaction_count) as transaction_count,
        sum(customer_initiated_count) as customer_initiated_count,
        sum(inflow_base) as inflow_base,
        sum(outflow_base) as outflow_base
    from {{ ref('fct_customer_month') }}
    group by month_start_on
)

select
    coalesce(accounts.month_start_on, customers.month_start_on) as month_start_on,
    accounts.transaction_count as accounts_transaction_count,
    customers.transaction_count as customers_transaction_count,
    accounts.inflow_base as accounts_inflow_base,
    customers.inflow_base as customers_inflow_base
from accounts
full outer join customers on accounts.month_start_on = customers.month_start_on
where
    coalesce(accounts.transaction_count <> customers.transaction_count, true)
    or accounts.customer_initiated_count <> customers.customer_initiated_count
    or (accounts.foreign_count = 0 and accounts.inflow_base <> customers.inflow_base)
    or (accounts.foreign_count = 0 and accounts.outflow_base <> customers.outflow_base)
