with

-- a payment that is delivered ahead of its day is not told
instalments as (
    select
        *,
        case when paid_on <= {{ as_of() }} then paid_on end as known_paid_on,
        case when paid_on <= {{ as_of() }} then coalesce(paid_amount, 0) else 0 end as known_paid_amount
    from {{ ref('stg_payment_schedule') }}
    where is_current
),

judged as (
    select
        *,
        due_amount = 0 or (known_paid_on is not null and known_paid_amount >= due_amount) as is_paid
    from instalments
)

select
    judged.account_id,
    judged.due_on,
    accounts.person_id,
    accounts.currency,
    judged.due_amount,
    {{ in_base('judged.due_amount', 'accounts.currency') }} as due_base,
    judged.known_paid_on as paid_on,
    cast(judged.known_paid_amount as decimal(18, 2)) as paid_amount,
    cast({{ in_base('judged.known_paid_amount', 'accounts.currency') }} as decimal(18, 2)) as paid_base,
    cast(greatest(judged.due_amount - judged.known_paid_amount, 0) as decimal(18, 2)) as unpaid_amount,
    judged.due_on <= {{ as_of() }} as is_due,
    judged.is_paid,
    judged.due_on < {{ as_of() }} and not judged.is_paid as is_overdue,
    case
        when judged.is_paid then {{ days_between('judged.due_on', 'judged.known_paid_on') }}
        when judged.due_on < {{ as_of() }} then {{ days_between('judged.due_on', as_of()) }}
    end as late_days,
    judged.known_from as known_on,
    judged.is_known_on_assumed
from judged
inner join {{ ref('dim_account') }} as accounts on judged.account_id = accounts.account_id
