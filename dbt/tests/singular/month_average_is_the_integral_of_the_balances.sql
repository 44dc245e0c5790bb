-- The average is computed from flows; here it is computed again from the intervals: balance x days, over the days known.
{{ config(meta={'dagster': {'ref': {'name': 'fct_account_month'}}}) }}

with

months as (
    select
        account_months.account_id,
        account_months.month_start_on,
        account_months.average_balance_amount,
        account_months.days_in_month_known,
        least(dates.month_end_on, {{ as_of() }}) as known_to
    from {{ ref('fct_account_month') }} as account_months
    inner join {{ ref('dim_date') }} as dates on account_months.month_start_on = dates.date_on
    where account_months.days_in_month_known > 0
),

parts as (
    select
        months.account_id,
        months.month_start_on,
        months.average_balance_amount,
        months.days_in_month_known,
        balances.balance_amount,
        {{ days_between(
            'greatest(balances.valid_from, months.month_start_on)',
            'least(balances.valid_to, ' ~ add_days('months.known_to', 1) ~ ')'
        ) }} as overlap_days
    from months
    inner join {{ ref('fct_account_balance') }} as balances
        on
            months.account_id = balances.account_id
            and months.month_start_on < balances.valid_to
            and months.known_to >= balances.valid_from
),

integrals as (
    select
        account_id,
        month_start_on,
        average_balance_amount,
        days_in_month_known,
        sum(balance_amount * cast(overlap_days as decimal(9, 0))) as balance_days_amount
    from parts
    group by account_id, month_start_on, average_balance_amount, days_in_month_known
)

select *
from integrals
where abs(average_balance_amount * days_in_month_known - balance_days_amount) > 0.005 * days_in_month_known
