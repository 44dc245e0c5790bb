with

tolerance as (
    select value as amount
    from {{ ref('settings') }}
    where setting = 'reconciliation_tolerance'
),

-- of the first month with a balance after a transaction: the last row of a day is the one that no other continues
stated as (
    select
        account_id,
        booked_on,
        seen_month_on,
        amount,
        balance_after,
        row_number() over (partition by account_id, booked_on order by balance_after, amount) as position
    from {{ ref('int_transaction_known') }}
    where balance_after is not null and account_id not in (select held.account_id from {{ ref('stg_balances') }} as held)
    qualify seen_month_on = min(seen_month_on) over (partition by account_id)
),

last_of_day as (
    select
        stated.account_id,
        stated.booked_on,
        min(stated.seen_month_on) as seen_month_on,
        min(stated.balance_after) as balance
    from stated
    cross join tolerance
    where
        not exists (
            select 1
            from stated as next_row
            where
                stated.account_id = next_row.account_id
                and stated.booked_on = next_row.booked_on
                and stated.position <> next_row.position
                and abs(next_row.balance_after - next_row.amount - stated.balance_after) <= tolerance.amount
        )
    group by stated.account_id, stated.booked_on
    having count(*) = 1
),

first_stated as (
    select *
    from last_of_day
    qualify row_number() over (partition by account_id order by booked_on) = 1
)

select
    first_stated.account_id,
    first_stated.booked_on,
    first_stated.seen_month_on,
    first_stated.balance,
    first_stated.balance - sum(transactions.amount) as opening_amount
from first_stated
inner join {{ ref('int_transaction_known') }} as transactions
    on
        first_stated.account_id = transactions.account_id
        and first_stated.booked_on >= transactions.booked_on
        and first_stated.seen_month_on >= transactions.seen_month_on
        and first_stated.seen_month_on < transactions.gone_month_on
group by first_stated.account_id, first_stated.booked_on, first_stated.seen_month_on, first_stated.balance
