with

anchors as (
    select
        accounts.account_id,
        accounts.currency,
        anchors.opening_amount,
        anchors.balance_from
    from {{ ref('int_account_anchor') }} as anchors
    inner join {{ ref('int_account') }} as accounts on anchors.account_id = accounts.account_id
    where anchors.balance_from is not null
),

-- every day that changes the balance, and the day from which it is known
days as (
    select
        anchors.account_id,
        anchors.currency,
        account_days.booked_on as valid_from,
        anchors.opening_amount + account_days.cumulated_amount as balance_amount,
        account_days.net_amount as change_amount
    from anchors
    inner join {{ ref('int_account_day') }} as account_days on anchors.account_id = account_days.account_id
    where account_days.net_amount <> 0 or account_days.booked_on = anchors.balance_from
    union all
    select
        anchors.account_id,
        anchors.currency,
        anchors.balance_from as valid_from,
        anchors.opening_amount as balance_amount,
        cast(0 as decimal(18, 2)) as change_amount
    from anchors
    left join {{ ref('int_account_day') }} as account_days
        on
            anchors.account_id = account_days.account_id
            and anchors.balance_from = account_days.booked_on
    where account_days.account_id is null
),

intervals as (
    select
        *,
        coalesce(
            lead(valid_from) over (partition by account_id order by valid_from),
            {{ open_end() }}
        ) as valid_to
    from days
)

select
    account_id,
    valid_from,
    valid_to,
    valid_to = {{ open_end() }} as is_current,
    currency,
    cast(balance_amount as decimal(18, 2)) as balance_amount,
    cast({{ in_base('balance_amount', 'currency') }} as decimal(18, 2)) as balance_base,
    cast(change_amount as decimal(18, 2)) as change_amount
from intervals
