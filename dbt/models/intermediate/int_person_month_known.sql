-- sqlfluff:exclude_rules:AM04
{{ config(materialized='view') }}

with

-- since when the bank delivers rows of a kind: before that a feature is absent, not 0
kinds as (
    select
        min(seen_month_on) as transactions_from,
        min(seen_month_on) filter (where initiated_by is not null) as initiated_from,
        min(seen_month_on) filter (where counterparty_kind is not null) as counterparty_from,
        min(seen_month_on) filter (where counterparty_kind = 'wallet') as wallets_from,
        min(seen_month_on) filter (where counterparty_kind = 'money_fund') as money_funds_from,
        min(seen_month_on) filter (where kind = 'salary') as salary_from,
        min(seen_month_on) filter (where kind in ('salary', 'pension')) as income_from,
        min(seen_month_on) filter (where kind in ('purchase', 'payment')) as spending_from,
        min(seen_month_on) filter (where kind = 'withdrawal') as withdrawals_from,
        min(seen_month_on) filter (where kind = 'fee') as fees_from,
        min(seen_month_on) filter (where kind in ('wealth_buy', 'wealth_redeem')) as wealth_from
    from {{ ref('int_transaction_known') }}
),

complaint_kinds as (
    select {{ month_start('min(greatest(opened_on, known_from))') }} as complaints_from
    from {{ ref('stg_complaints') }}
),

manager_kinds as (
    select {{ month_start('min(greatest(valid_from, known_from))') }} as managers_from
    from {{ ref('stg_relationship_assignments') }}
),

rate_kinds as (
    select {{ month_start('min(greatest(rate_on, known_from))') }} as rates_from
    from {{ ref('stg_market_rates') }}
    where kind = 'competitor_best'
)

select
    holdings.*,
    holdings.is_observed or flows.person_id is not null as tells_transactions,
    (holdings.is_observed or flows.person_id is not null) and coalesce(flows.foreign_count_3m, 0) = 0 as tells_amounts,
    coalesce(kinds.initiated_from <= holdings.month_start_on, false) as tells_initiator,
    coalesce(kinds.counterparty_from <= holdings.month_start_on, false) as tells_counterparty,
    coalesce(kinds.wallets_from <= holdings.month_start_on, false) as tells_wallets,
    coalesce(kinds.money_funds_from <= holdings.month_start_on, false) as tells_money_funds,
    coalesce(kinds.salary_from <= holdings.month_start_on, false) as tells_salary,
    coalesce(kinds.wealth_from <= holdings.month_start_on, false) as tells_wealth,
    coalesce(complaint_kinds.complaints_from <= holdings.month_start_on, false) as tells_complaints,
    coalesce(rate_kinds.rates_from <= holdings.month_start_on, false) as tells_rates,
    coalesce(kinds.income_from <= holdings.month_start_on, false) as tells_income,
    coalesce(kinds.spending_from <= holdings.month_start_on, false) as tells_spending,
    coalesce(kinds.withdrawals_from <= holdings.month_start_on, false) as tells_withdrawals,
    coalesce(kinds.fees_from <= holdings.month_start_on, false) as tells_fees,
    coalesce(manager_kinds.managers_from <= holdings.month_start_on, false) as tells_managers,
    -- six whole months of transactions: before that the earlier three are not what they were
    coalesce({{ month_number('holdings.month_start_on') }} - {{ month_number('kinds.transactions_from') }} >= 5, false) as tells_change,
    lag(holdings.aum_average, 1) over history as aum_average_1m_before,
    lag(holdings.aum_average, 3) over history as aum_average_before,
    lag(holdings.aum_average, 6) over history as aum_average_6m_before,
    lag(holdings.aum_average, 12) over history as aum_average_12m_before,
    lag(holdings.products_held, 6) over history as products_held_6m_before,
    max(holdings.aum_average) over last_year as aum_average_peak,
    max(holdings.aum_average) over half_year - min(holdings.aum_average) over half_year as aum_average_range,
    max(holdings.aum_average) over half_year as aum_average_half_year_peak,
    flows.inflow_1m,
    flows.inflow_before_3m,
    flows.foreign_count_before_3m,
    flows.income_3m,
    flows.income_before_3m,
    flows.spending_3m,
    flows.cash_withdrawn_3m,
    flows.other_bank_inflow_3m,
    flows.fees_3m,
    flows.channels_used_3m,
    flows.mobile_count_3m,
    flows.customer_count_before_3m,
    managers.has_manager,
    managers.manager_changed_3m,
    managers.manager_days,
    arrears.days_past_due,
    arrears.overdue_amount,
    customers.risk_profile,
    customers.education,
    flows.inflow_3m,
    flows.outflow_1m,
    flows.outflow_3m,
    flows.external_outflow_1m,
    flows.external_outflow_3m,
    flows.other_bank_outflow_3m,
    flows.largest_other_bank_outflow_3m,
    flows.wallet_outflow_3m,
    flows.money_fund_outflow_3m,
    flows.wealth_redeemed_3m,
    flows.customer_count_1m,
    flows.customer_count_3m,
    flows.active_months_6m,
    flows.channel_count_3m,
    flows.digital_count_3m,
    flows.counter_count_3m,
    flows.salary_months_1m,
    flows.salary_months_3m,
    flows.salary_months_before,
    complaints.complaints_open,
    complaints.complaints_12m,
    complaints.days_since_unanswered,
    complaints.longest_wait_days_6m,
    customers.party_type,
    customers.birth_year,
    customers.gender,
    customers.region
from {{ ref('int_person_month_holding') }} as holdings
left join {{ ref('int_person_month_flow') }} as flows
    on
        holdings.person_id = flows.person_id
        and holdings.month_start_on = flows.month_start_on
left join {{ ref('int_person_month_complaint') }} as complaints
    on
        holdings.person_id = complaints.person_id
        and holdings.month_start_on = complaints.month_start_on
left join {{ ref('int_person_month_manager') }} as managers
    on
        holdings.person_id = managers.person_id
        and holdings.month_start_on = managers.month_start_on
left join {{ ref('int_person_month_arrears') }} as arrears
    on
        holdings.person_id = arrears.person_id
        and holdings.month_start_on = arrears.month_start_on
left join {{ ref('dim_customer') }} as customers
    on
        holdings.person_id = customers.person_id
        and holdings.month_end_on >= customers.valid_from
        and holdings.month_end_on < customers.valid_to
cross join kinds
cross join complaint_kinds
cross join rate_kinds
cross join manager_kinds
window
    history as (partition by holdings.person_id order by holdings.month_start_on),
    half_year as (partition by holdings.person_id order by holdings.month_start_on rows between 5 preceding and current row),
    last_year as (partition by holdings.person_id order by holdings.month_start_on rows between 11 preceding and current row)
