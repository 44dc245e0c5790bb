{{ config(meta={'dagster': {'ref': {'name': 'fct_account_month'}}}) }}

with

months as (
    select
        account_id,
        month_start_on,
        opening_balance_amount,
        lag(closing_balance_amount) over (partition by account_id order by month_start_on) as last_closing_balance_amount,
        lag(month_start_on) over (partition by account_id order by month_start_on) as last_month_start_on,
        lag(days_in_month) over (partition by account_id order by month_start_on) as last_days_in_month
    from {{ ref('fct_account_month') }}
)

select *
from months
where
    opening_balance_amount <> last_closing_balance_amount
    or {{ add_days('last_month_start_on', 'last_days_in_month') }} <> month_start_on
