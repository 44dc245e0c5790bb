with

statuses as (
    select
        *,
        {{ month_start('as_of') }} as month_start_on
    from {{ ref('stg_loan_status') }}
    where is_current and as_of <= {{ as_of() }}
    qualify row_number() over (partition by account_id, {{ month_start('as_of') }} order by as_of desc) = 1
),

instalments as (
    select
        account_id,
        {{ month_start('due_on') }} as month_start_on,
        count(*) as instalment_count,
        count(*) filter (where is_paid) as paid_instalment_count,
        sum(due_amount) as due_amount,
        sum(paid_amount) as paid_amount
    from {{ ref('fct_payment_due') }}
    where due_on <= {{ as_of() }}
    group by account_id, {{ month_start('due_on') }}
),

balances as (
    select months.*
    from {{ ref('fct_account_month') }} as months
    inner join {{ ref('dim_account') }} as accounts on months.account_id = accounts.account_id
    where accounts.is_lum
),

loan_months as (
    select
        account_id,
        month_start_on
    from balances
    union
    select
        account_id,
        month_start_on
    from statuses
    union
    select
        account_id,
        month_start_on
    from instalments
)

select
    loan_months.account_id,
    loan_months.month_start_on,
    accounts.person_id,
    accounts.currency,
    cast(-balances.average_balance_amount as decimal(18, 2)) as outstanding_average_amount,
    cast(-balances.closing_balance_amount as decimal(18, 2)) as outstanding_period_end_amount,
    cast(-balances.average_balance_base as decimal(18, 2)) as outstanding_average_base,
    cast(-balances.closing_balance_base as decimal(18, 2)) as outstanding_period_end_base,
    statuses.as_of as status_on,
    statuses.days_past_due,
    statuses.overdue_amount,
    statuses.five_class,
    statuses.five_class in ('substandard', 'doubtful', 'loss') as is_non_performing,
    statuses.collateral_value as collateral_amount,
    statuses.pd as default_probability_ratio,
    statuses.lgd as loss_given_default_ratio,
    cast(coalesce(instalments.instalment_count, 0) as integer) as instalment_count,
    cast(coalesce(instalments.paid_instalment_count, 0) as integer) as paid_instalment_count,
    cast(coalesce(instalments.due_amount, 0) as decimal(18, 2)) as due_amount,
    cast(coalesce(instalments.paid_amount, 0) as decimal(18, 2)) as paid_amount,
    balances.is_partial
from loan_months
inner join {{ ref('dim_account') }} as accounts on loan_months.account_id = accounts.account_id
left join balances
    on
        loan_months.account_id = balances.account_id
        and loan_months.month_start_on = balances.month_start_on
left join statuses
    on
        loan_months.account_id = statuses.account_id
        and loan_months.month_start_on = statuses.month_start_on
left join instalments
    on
        loan_months.account_id = instalments.account_id
        and loan_months.month_start_on = instalments.month_start_on
