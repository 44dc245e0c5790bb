-- sqlfluff:exclude_rules:LT02
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched_accounts('int_account_month_booked', source('raw', 'transactions'), ref('fct_transaction'), 'booked_month_on') }}",
    post_hook="{{ mark_applied('int_account_month_booked', source('raw', 'transactions')) }}",
) }}

{%- set state = applied_state('int_account_month_booked', source('raw', 'transactions')) %}

{% set channels = ['counter', 'atm', 'mobile', 'web', 'phone', 'pos', 'rm'] %}
-- money between a person's own accounts neither comes nor goes
select
    versions.account_id,
    versions.booked_month_on,
    versions.seen_month_on,
    versions.gone_month_on,
    sum(versions.amount) as net_amount,
    sum(
        versions.amount
        * ({{ days_between('greatest(versions.booked_on, versions.seen_month_on)', 'last_day(versions.seen_month_on)') }} + 1)
    ) as balance_days_amount,
    max(versions.booked_on) filter (where versions.initiated_by = 'customer') as last_customer_on,
    count(*) filter (where versions.amount_base is null) as foreign_count,
    sum(versions.amount_base) filter (
        where versions.amount > 0 and coalesce(versions.counterparty_kind <> 'own', true)
    ) as inflow,
    -sum(versions.amount_base) filter (
        where versions.amount < 0 and coalesce(versions.counterparty_kind <> 'own', true)
    ) as outflow,
    -sum(versions.amount_base) filter (
        where
        versions.amount < 0
        and (
            versions.counterparty_kind in ('wallet', 'money_fund')
            or (
                versions.kind = 'transfer'
                and versions.counterparty_bank is not null
                and versions.counterparty_kind not in ('own', 'household')
            )
        )
    ) as external_outflow,
    -sum(versions.amount_base) filter (
        where
        versions.amount < 0
        and versions.kind = 'transfer'
        and versions.counterparty_bank is not null
        and versions.counterparty_kind = 'bank'
    ) as other_bank_outflow,
    -min(versions.amount_base) filter (
        where
        versions.amount < 0
        and versions.kind = 'transfer'
        and versions.counterparty_bank is not null
        and versions.counterparty_kind = 'bank'
    ) as largest_other_bank_outflow,
    -sum(versions.amount_base) filter (
        where versions.amount < 0 and versions.counterparty_kind = 'wallet'
    ) as wallet_outflow,
    -sum(versions.amount_base) filter (
        where versions.amount < 0 and versions.counterparty_kind = 'money_fund'
    ) as money_fund_outflow,
    sum(versions.amount_base) filter (where versions.amount > 0 and versions.kind = 'wealth_redeem') as wealth_redeemed,
    sum(versions.amount_base) filter (
        where
        versions.amount > 0
        and versions.kind in ('salary', 'pension')
        and coalesce(versions.counterparty_kind <> 'own', true)
    ) as income,
    -sum(versions.amount_base) filter (
        where
        versions.amount < 0
        and versions.kind in ('purchase', 'payment')
        and coalesce(versions.counterparty_kind <> 'own', true)
    ) as spending,
    -sum(versions.amount_base) filter (
        where versions.amount < 0 and versions.kind = 'withdrawal' and coalesce(versions.counterparty_kind <> 'own', true)
    ) as cash_withdrawn,
    sum(versions.amount_base) filter (
        where
        versions.amount > 0
        and versions.kind = 'transfer'
        and versions.counterparty_bank is not null
        and versions.counterparty_kind = 'bank'
    ) as other_bank_inflow,
    -sum(versions.amount_base) filter (
        where versions.amount < 0 and versions.kind = 'fee' and coalesce(versions.counterparty_kind <> 'own', true)
    ) as fees,
    {%- for channel in channels %}
    count(*) filter (where versions.initiated_by = 'customer' and versions.channel = '{{ channel }}') as {{ channel }}_uses,
    {%- endfor %}
    count(*) filter (where versions.initiated_by = 'customer') as customer_count,
    count(*) filter (where versions.initiated_by = 'customer' and versions.channel is not null) as channel_count,
    count(*) filter (where versions.initiated_by = 'customer' and versions.channel in ('mobile', 'web')) as digital_count,
    count(*) filter (where versions.initiated_by = 'customer' and versions.channel = 'counter') as counter_count,
    count(*) filter (where versions.kind = 'salary' and versions.amount > 0) as salary_count
from {{ ref('int_transaction_known') }} as versions
{%- if state is not none %}
inner join touched
    on
        versions.account_id = touched.account_id
        and versions.booked_month_on = touched.since_on
{%- endif %}
group by versions.account_id, versions.booked_month_on, versions.seen_month_on, versions.gone_month_on
-- the rows of an account side by side: sums by person behind it then meet each person at one place, and spill a sixth
order by versions.account_id, versions.booked_month_on
