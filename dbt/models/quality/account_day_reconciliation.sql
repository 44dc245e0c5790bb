with

-- inside a day the order of the rows is not known: the day agrees if one stated balance is the cumulated one
days as (
    select
        account_days.account_id,
        account_days.booked_on,
        anchors.opening_amount + account_days.cumulated_amount as cumulated_balance_amount,
        min(
            abs(transactions.balance_after - anchors.opening_amount - account_days.cumulated_amount)
        ) as difference_amount
    from {{ ref('fct_transaction') }} as transactions
    inner join {{ ref('int_account_day') }} as account_days
        on
            transactions.account_id = account_days.account_id
            and transactions.booked_on = account_days.booked_on
    inner join {{ ref('int_account_anchor') }} as anchors on transactions.account_id = anchors.account_id
    where transactions.balance_after is not null and anchors.balance_from is not null
    group by
        account_days.account_id, account_days.booked_on,
        anchors.opening_amount, account_days.cumulated_amount
)

select
    account_id,
    booked_on,
    cast(cumulated_balance_amount as decimal(18, 2)) as cumulated_balance_amount,
    cast(difference_amount as decimal(18, 2)) as difference_amount,
    difference_amount <= {{ setting('reconciliation_tolerance') }} as is_reconciled
from days
