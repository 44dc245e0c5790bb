with

-- the last state of each loan that was known at the month's end
states as (
    select
        accounts.person_id,
        accounts.month_start_on,
        versions.days_past_due,
        versions.overdue_amount
    from {{ ref('int_account_month_known') }} as accounts
    inner join {{ ref('stg_loan_status') }} as versions
        on
            accounts.account_id = versions.account_id
            and accounts.month_end_on >= versions.as_of
            and accounts.month_end_on >= versions.known_from
            and accounts.month_end_on < versions.known_to
    where accounts.is_open
    qualify
        row_number() over (
            partition by accounts.account_id, accounts.month_start_on
            order by versions.as_of desc
        ) = 1
)

select
    person_id,
    month_start_on,
    max(days_past_due) as days_past_due,
    sum(overdue_amount) as overdue_amount
from states
group by person_id, month_start_on
