-- The ledger's assets close where fct_customer_month says, every posting of an owned account is in it, and what leaves the bank
-- is the same by counterparty.
{{ config(meta={'dagster': {'ref': {'name': 'customer_money_flow_month'}}}) }}

with

ledger as (
    select
        person_id,
        month_start_on,
        sum(transaction_count) as transaction_count,
        max(closing_balance_base) filter (where side = 'aum') as aum_base,
        count(*) filter (where side = 'aum') as aum_count,
        sum(external_bank_base + external_wallet_base + external_money_fund_base) as external_base
    from {{ ref('customer_money_flow_month') }}
    group by person_id, month_start_on
),

counterparties as (
    select
        person_id,
        month_start_on,
        sum(net_flow_base) as external_base
    from {{ ref('customer_external_flow_month') }}
    group by person_id, month_start_on
)

select
    coalesce(months.person_id, ledger.person_id) as person_id,
    coalesce(months.month_start_on, ledger.month_start_on) as month_start_on,
    months.aum_period_end_base,
    ledger.aum_base,
    months.transaction_count,
    ledger.transaction_count as ledger_transaction_count,
    counterparties.external_base,
    ledger.external_base as ledger_external_base
from {{ ref('fct_customer_month') }} as months
full outer join ledger on months.person_id = ledger.person_id and months.month_start_on = ledger.month_start_on
left join counterparties on ledger.person_id = counterparties.person_id and ledger.month_start_on = counterparties.month_start_on
where
    coalesce(months.transaction_count, 0) <> coalesce(ledger.transaction_count, 0)
    or (ledger.aum_count = 1 and ledger.aum_base <> months.aum_period_end_base)
    or (ledger.aum_count = 0 and months.aum_period_end_base <> 0)
    or ledger.external_base <> coalesce(counterparties.external_base, 0)
