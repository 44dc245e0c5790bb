with

-- since when the bank delivers rows of a kind: before that a feature is absent, not 0
kinds as (
    select
        min(seen_month_on) filter (where initiated_by is not null) as initiated_from,
        min(seen_month_on) filter (where counterparty_kind is not null) as counterparty_from,
        min(seen_month_on) filter (where counterparty_kind = 'wallet') as wallets_from,
        min(seen_month_on) filter (where counterparty_kind = 'money_fund') as money_funds_from,
        min(seen_month_on) filter (where kind = 'salary') as salary_from,
        min(seen_month_on) filter (where kind in ('wealth_buy', 'wealth_redeem')) as wealth_from
    from {{ ref('int_transaction_known') }}
),

complaint_kinds as (
    select {{ month_start('min(greatest(opened_on, known_from))') }} as complaints_from
    from {{ ref('stg_complaints') }}
),

rate_kinds as (
    select {{ month_start('min(greatest(rate_on, known_from))') }} as rates_from
    from {{ ref('stg_market_rates') }}
    where kind = 'competitor_best'
),

months as (
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
        lag(holdings.aum_average, 3) over (
            partition by holdings.person_id order by holdings.month_start_on
        ) as aum_average_before,
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
    left join {{ ref('dim_customer') }} as customers
        on
            holdings.person_id = customers.person_id
            and holdings.month_end_on >= customers.valid_from
            and holdings.month_end_on < customers.valid_to
    cross join kinds
    cross join complaint_kinds
    cross join rate_kinds
)

select
    person_id,
    month_start_on,
    cast(aum_average as decimal(18, 2)) as aum_average,
    cast(aum_end as decimal(18, 2)) as aum_end,
    cast(demand_average as decimal(18, 2)) as demand_average,
    {{ ratio('(aum_end - aum_average)', 'aum_average') }} as window_dressing_ratio,
    {{ ratio('(aum_average - aum_average_before)', 'aum_average_before') }} as aum_change_3m_ratio,
    cast(lum_end as decimal(18, 2)) as lum_end,
    cast(accounts_open as integer) as accounts_open,
    cast(products_held as integer) as products_held,
    cast(closed_products_1m as integer) as closed_products_1m,
    cast(closed_products_6m as integer) as closed_products_6m,
    has_mortgage,
    has_credit_card,
    has_payroll,
    has_wealth,
    cast(term_maturing_3m as decimal(18, 2)) as term_maturing_3m,
    case when tells_rates then {{ ratio('coalesce(interest_forgone, 0)', 'aum_end') }} end as rate_gap,
    cast(
        (extract(year from month_start_on) - extract(year from first_opened_on)) * 12
        + extract(month from month_start_on) - extract(month from first_opened_on) as integer
    ) as tenure_months,
    case when tells_initiator then {{ days_between('last_customer_on', 'month_end_on') }} end as days_since_last_customer_transaction,
    cast({{ told('customer_count_1m', 'tells_transactions and tells_initiator') }} as integer) as customer_transactions_1m,
    cast({{ told('customer_count_3m', 'tells_transactions and tells_initiator') }} as integer) as customer_transactions_3m,
    cast({{ told('active_months_6m', 'tells_transactions and tells_initiator') }} as integer) as active_months_6m,
    {{ ratio('digital_count_3m', 'channel_count_3m') }} as digital_share_3m,
    {{ ratio('counter_count_3m', 'channel_count_3m') }} as counter_share_3m,
    cast({{ told('inflow_3m', 'tells_amounts') }} as decimal(18, 2)) as inflow_3m,
    cast({{ told('outflow_1m', 'tells_amounts') }} as decimal(18, 2)) as outflow_1m,
    cast({{ told('outflow_3m', 'tells_amounts') }} as decimal(18, 2)) as outflow_3m,
    cast({{ told('external_outflow_1m', 'tells_amounts and tells_counterparty') }} as decimal(18, 2)) as external_outflow_1m,
    cast({{ told('external_outflow_3m', 'tells_amounts and tells_counterparty') }} as decimal(18, 2)) as external_outflow_3m,
    cast({{ told('other_bank_outflow_3m', 'tells_amounts and tells_counterparty') }} as decimal(18, 2)) as other_bank_outflow_3m,
    cast(
        {{ told('largest_other_bank_outflow_3m', 'tells_amounts and tells_counterparty') }} as decimal(18, 2)
    ) as largest_other_bank_outflow_3m,
    case when tells_amounts and tells_counterparty then {{ ratio('external_outflow_3m', 'outflow_3m') }} end as external_outflow_3m_ratio,
    cast({{ told('wallet_outflow_3m', 'tells_amounts and tells_wallets') }} as decimal(18, 2)) as wallet_outflow_3m,
    cast({{ told('money_fund_outflow_3m', 'tells_amounts and tells_money_funds') }} as decimal(18, 2)) as money_fund_outflow_3m,
    cast({{ told('wealth_redeemed_3m', 'tells_amounts and tells_wealth') }} as decimal(18, 2)) as wealth_redeemed_3m,
    cast({{ told('salary_months_3m', 'tells_transactions and tells_salary') }} as integer) as salary_months_3m,
    case
        when tells_transactions and tells_salary
            then coalesce(salary_months_1m = 0 and salary_months_before >= {{ setting('salary_stopped_months') }}, false)
    end as salary_stopped,
    cast({{ told('complaints_open', 'tells_complaints') }} as integer) as complaints_open,
    cast({{ told('complaints_12m', 'tells_complaints') }} as integer) as complaints_12m,
    cast(days_since_unanswered as integer) as days_since_unanswered_complaint,
    cast(longest_wait_days_6m as integer) as complaint_longest_wait_days_6m,
    party_type,
    cast(extract(year from month_start_on) - birth_year as integer) as age,
    gender,
    region
from months
