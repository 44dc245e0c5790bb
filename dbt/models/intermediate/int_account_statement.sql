with

-- a balance delivered for the end of a day needs no guess about the order inside the day: the first one counts
stated as (
    select
        account_id,
        balance_on,
        balance
    from {{ ref('stg_balances') }}
    where is_current and balance_on <= {{ as_of() }}
    qualify row_number() over (partition by account_id order by balance_on) = 1
),

openings as (
    select
        stated.account_id,
        stated.balance_on,
        stated.balance - coalesce(sum(days.net_amount), 0) as opening_amount
    from stated
    left join {{ ref('int_account_day') }} as days
        on
            stated.account_id = days.account_id
            and stated.balance_on >= days.booked_on
    group by stated.account_id, stated.balance_on, stated.balance
),

feeds as (
    select
        source_system,
        min(first_booked_on) as feed_from
    from {{ ref('int_account') }}
    where first_booked_on >= opened_on
    group by source_system
),

feeding_products as (
    select distinct product_code
    from {{ ref('int_account') }}
    where first_booked_on is not null
)

-- without a statement and a transaction: nothing yet, if the product's transactions have been delivered since its opening
select
    accounts.account_id,
    accounts.opened_on,
    openings.balance_on,
    case when openings.account_id is null then 0 else openings.opening_amount end as opening_amount,
    accounts.first_booked_on is null as is_without_transactions
from {{ ref('int_account') }} as accounts
left join openings on accounts.account_id = openings.account_id
left join feeds on accounts.source_system = feeds.source_system
left join feeding_products on accounts.product_code = feeding_products.product_code
where
    -- of an account whose instalments alone were delivered no currency is known, so no balance either
    accounts.currency is not null
    and (
        openings.account_id is not null
        or (
            accounts.first_booked_on is null
            and feeding_products.product_code is not null
            and accounts.opened_on between feeds.feed_from and {{ as_of() }}
        )
    )
