-- sqlfluff:exclude_rules:LT02
{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ forget_unless_unchanged(this.identifier) }}", post_hook="{{ mark_known(this.identifier) }}") }}
{% if is_known_unchanged(this.identifier) %}
    select * from {{ this }} where 1 = 0  -- noqa: AM04,LT14
{% else %}
{% set channels = ['counter', 'atm', 'mobile', 'web', 'phone', 'pos', 'rm'] %}
with

months as (
    select
        month_start_on,
        calendar_year * 12 + calendar_month as month_number
    from {{ ref('dim_date') }}
    where day_of_month = 1 and month_end_on <= {{ as_of() }}
),

-- each month looks back on itself and the six months before it, as far as they are known at its end
seen as (
    select
        booked.*,
        account_months.person_id,
        months.month_start_on,
        months.month_number - booked_months.month_number as age_months
    from {{ ref('int_account_month_booked') }} as booked
    inner join months as booked_months on booked.booked_month_on = booked_months.month_start_on
    inner join months
        on
            months.month_number between booked_months.month_number and booked_months.month_number + 6
            and booked.seen_month_on <= months.month_start_on
            and booked.gone_month_on > months.month_start_on
    inner join {{ ref('int_account_month_known') }} as account_months
        on
            booked.account_id = account_months.account_id
            and months.month_start_on = account_months.month_start_on
)

select
    person_id,
    month_start_on,
    coalesce(sum(foreign_count) filter (where age_months <= 2), 0) as foreign_count_3m,
    coalesce(sum(inflow) filter (where age_months <= 2), 0) as inflow_3m,
    coalesce(sum(inflow) filter (where age_months = 0), 0) as inflow_1m,
    coalesce(sum(inflow) filter (where age_months between 3 and 5), 0) as inflow_before_3m,
    coalesce(sum(foreign_count) filter (where age_months between 3 and 5), 0) as foreign_count_before_3m,
    coalesce(sum(income) filter (where age_months <= 2), 0) as income_3m,
    coalesce(sum(income) filter (where age_months between 3 and 5), 0) as income_before_3m,
    coalesce(sum(spending) filter (where age_months <= 2), 0) as spending_3m,
    coalesce(sum(cash_withdrawn) filter (where age_months <= 2), 0) as cash_withdrawn_3m,
    coalesce(sum(other_bank_inflow) filter (where age_months <= 2), 0) as other_bank_inflow_3m,
    coalesce(sum(fees) filter (where age_months <= 2), 0) as fees_3m,
    {%- for channel in channels %}
    case when sum({{ channel }}_uses) filter (where age_months <= 2) > 0 then 1 else 0 end {{ '+' if not loop.last }}
    {%- endfor %} as channels_used_3m,
    coalesce(sum(mobile_uses) filter (where age_months <= 2), 0) as mobile_count_3m,
    coalesce(sum(outflow) filter (where age_months = 0), 0) as outflow_1m,
    coalesce(sum(outflow) filter (where age_months <= 2), 0) as outflow_3m,
    coalesce(sum(external_outflow) filter (where age_months = 0), 0) as external_outflow_1m,
    coalesce(sum(external_outflow) filter (where age_months <= 2), 0) as external_outflow_3m,
    coalesce(sum(other_bank_outflow) filter (where age_months <= 2), 0) as other_bank_outflow_3m,
    coalesce(max(largest_other_bank_outflow) filter (where age_months <= 2), 0) as largest_other_bank_outflow_3m,
    coalesce(sum(wallet_outflow) filter (where age_months <= 2), 0) as wallet_outflow_3m,
    coalesce(sum(money_fund_outflow) filter (where age_months <= 2), 0) as money_fund_outflow_3m,
    coalesce(sum(wealth_redeemed) filter (where age_months <= 2), 0) as wealth_redeemed_3m,
    coalesce(sum(customer_count) filter (where age_months = 0), 0) as customer_count_1m,
    coalesce(sum(customer_count) filter (where age_months <= 2), 0) as customer_count_3m,
    coalesce(sum(customer_count) filter (where age_months between 3 and 5), 0) as customer_count_before_3m,
    {{ distinct_small('age_months', 'age_months <= 5 and customer_count > 0') }} as active_months_6m,
    coalesce(sum(channel_count) filter (where age_months <= 2), 0) as channel_count_3m,
    coalesce(sum(digital_count) filter (where age_months <= 2), 0) as digital_count_3m,
    coalesce(sum(counter_count) filter (where age_months <= 2), 0) as counter_count_3m,
    {{ distinct_small('age_months', 'age_months <= 2 and salary_count > 0') }} as salary_months_3m,
    {{ distinct_small('age_months', 'age_months = 0 and salary_count > 0') }} as salary_months_1m,
    {{ distinct_small('age_months', 'age_months >= 1 and salary_count > 0') }} as salary_months_before
from seen
group by person_id, month_start_on
{% endif %}
