{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ forget_unless_unchanged(this.identifier) }}", post_hook="{{ mark_known(this.identifier) }}") }}
{% if is_known_unchanged(this.identifier) %}
    select * from {{ this }} where 1 = 0  -- noqa: AM04,LT14
{% else %}
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
        case
            when tells_amounts and tells_counterparty then {{ ratio('external_outflow_3m', 'outflow_3m') }}
        end as external_outflow_3m_ratio,
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
        cast(aum_end - deposit_end as decimal(18, 2)) as investment_end,
        cast(term_deposit_end as decimal(18, 2)) as term_deposit_end,
        {{ ratio('demand_average', 'aum_average') }} as demand_ratio,
        {{ ratio('(aum_end - deposit_end)', 'aum_end') }} as investment_ratio,
        {{ ratio('interest_earned', 'earning_amount') }} as average_interest_rate,
        {{ ratio('(aum_average - aum_average_1m_before)', 'aum_average_1m_before') }} as aum_change_1m_ratio,
        {{ ratio('(aum_average - aum_average_6m_before)', 'aum_average_6m_before') }} as aum_change_6m_ratio,
        {{ ratio('(aum_average - aum_average_12m_before)', 'aum_average_12m_before') }} as aum_change_12m_ratio,
        {{ ratio('aum_average', 'aum_average_peak') }} as aum_to_peak_12m_ratio,
        {{ ratio('aum_average_range', 'aum_average_half_year_peak') }} as aum_range_6m_ratio,
        {{ ratio('lum_end', 'aum_end') }} as lum_to_aum_ratio,
        cast(aum_categories_held as integer) as aum_categories_held,
        cast(products_held - products_held_6m_before as integer) as products_change_6m,
        cast(opened_products_3m as integer) as opened_products_3m,
        cast(opened_products_12m as integer) as opened_products_12m,
        {{ days_between('last_opened_on', 'month_end_on') }} as days_since_last_opening,
        cast(matured_accounts_3m as integer) as matured_accounts_3m,
        has_term_deposit,
        has_insurance,
        has_loan,
        cast({{ told('inflow_1m', 'tells_amounts') }} as decimal(18, 2)) as inflow_1m,
        cast({{ told('inflow_3m - outflow_3m', 'tells_amounts') }} as decimal(18, 2)) as net_flow_3m,
        case when tells_amounts then {{ ratio('coalesce(inflow_3m - outflow_3m, 0)', 'aum_average') }} end as net_flow_3m_ratio,
        case
            when tells_amounts and tells_change and foreign_count_before_3m = 0
                then {{ ratio('(inflow_3m - inflow_before_3m)', 'inflow_before_3m') }}
        end as inflow_change_3m_ratio,
        cast({{ told('income_3m', 'tells_amounts and tells_income') }} as decimal(18, 2)) as income_3m,
        case
            when tells_amounts and tells_income and tells_change and foreign_count_before_3m = 0
                then {{ ratio('(income_3m - income_before_3m)', 'income_before_3m') }}
        end as income_change_3m_ratio,
        cast({{ told('spending_3m', 'tells_amounts and tells_spending') }} as decimal(18, 2)) as spending_3m,
        cast({{ told('cash_withdrawn_3m', 'tells_amounts and tells_withdrawals') }} as decimal(18, 2)) as cash_withdrawn_3m,
        cast({{ told('other_bank_inflow_3m', 'tells_amounts and tells_counterparty') }} as decimal(18, 2)) as other_bank_inflow_3m,
        case when tells_amounts and tells_wallets then {{ ratio('wallet_outflow_3m', 'outflow_3m') }} end as wallet_outflow_3m_ratio,
        cast({{ told('fees_3m', 'tells_amounts and tells_fees') }} as decimal(18, 2)) as fees_3m,
        cast(
            {{ told('customer_count_3m + customer_count_before_3m', 'tells_transactions and tells_initiator') }} as integer
        ) as customer_transactions_6m,
        case
            when tells_initiator and tells_change
                then {{ ratio('(customer_count_3m - customer_count_before_3m)', 'customer_count_before_3m') }}
        end as customer_transactions_change_3m_ratio,
        {{ ratio('mobile_count_3m', 'channel_count_3m') }} as mobile_share_3m,
        cast(nullif(channels_used_3m, 0) as integer) as channels_used_3m,
        case when tells_managers then has_manager end as has_manager,
        case when tells_managers then manager_changed_3m end as manager_changed_3m,
        case when tells_managers then manager_days end as manager_days,
        cast(days_past_due as integer) as days_past_due,
        cast(overdue_amount as decimal(18, 2)) as overdue_amount,
        risk_profile,
        education,
        party_type,
        cast(extract(year from month_start_on) - birth_year as integer) as age,
        gender,
        region
    from {{ ref('int_person_month_known') }}
{% endif %}
