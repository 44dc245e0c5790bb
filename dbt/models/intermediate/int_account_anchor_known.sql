with

tolerance as (
    select value as amount
    from {{ ref('settings') }}
    where setting = 'reconciliation_tolerance'
),

accounts as (
    select
        account_id,
        source_system,
        product_code,
        opened_on,
        {{ month_start('greatest(opened_on, known_from)') }} as known_month_on
    from {{ ref('stg_accounts') }}
    qualify row_number() over (partition by account_id order by known_from) = 1
),

first_booked as (
    select
        account_id,
        seen_month_on,
        min(booked_on) as first_booked_on
    from {{ ref('int_transaction_known') }}
    group by account_id, seen_month_on
    qualify row_number() over (partition by account_id order by seen_month_on) = 1
),

-- from when on a source system's transactions were delivered, as could be told by each month
feeds as (
    select
        accounts.source_system,
        greatest(accounts.known_month_on, first_booked.seen_month_on) as seen_month_on,
        min(first_booked.first_booked_on) as feed_from
    from accounts
    inner join first_booked on accounts.account_id = first_booked.account_id
    where first_booked.first_booked_on >= accounts.opened_on
    group by accounts.source_system, greatest(accounts.known_month_on, first_booked.seen_month_on)
),

feeding_products as (
    select
        accounts.product_code,
        min(first_booked.seen_month_on) as seen_month_on
    from accounts
    inner join first_booked on accounts.account_id = first_booked.account_id
    group by accounts.product_code
),

-- an account opened since then began with nothing, once its own or its product's transactions are seen
openings as (
    select
        accounts.account_id,
        accounts.opened_on,
        greatest(
            accounts.known_month_on,
            least(first_booked.seen_month_on, feeding_products.seen_month_on),
            case when first_booked.first_booked_on > accounts.opened_on or first_booked.account_id is null then min(feeds.seen_month_on) end
        ) as seen_month_on
    from accounts
    left join first_booked on accounts.account_id = first_booked.account_id
    left join feeding_products on accounts.product_code = feeding_products.product_code
    left join feeds on accounts.source_system = feeds.source_system and accounts.opened_on >= feeds.feed_from
    where coalesce(first_booked.seen_month_on, feeding_products.seen_month_on) is not null
    group by
        accounts.account_id, accounts.opened_on, accounts.known_month_on,
        first_booked.account_id, first_booked.first_booked_on, first_booked.seen_month_on, feeding_products.seen_month_on
    having min(feeds.seen_month_on) is not null or first_booked.first_booked_on <= accounts.opened_on
),

statements as (
    select
        account_id,
        balance_on,
        {{ month_start('greatest(balance_on, known_from)') }} as seen_month_on
    from {{ ref('stg_balances') }}
    qualify row_number() over (partition by account_id order by seen_month_on, balance_on, known_from) = 1
),

candidates as (
    select
        account_id,
        seen_month_on,
        1 as precedence,
        balance_on as anchored_on,
        cast(null as decimal(18, 2)) as balance
    from statements
    union all
    select
        openings.account_id,
        openings.seen_month_on,
        2 as precedence,
        {{ add_days('openings.opened_on', -1) }} as anchored_on,
        cast(0 as decimal(18, 2)) as balance
    from openings
    left join {{ ref('int_account_stated_known') }} as implied
        on
            openings.account_id = implied.account_id
            and openings.seen_month_on >= implied.seen_month_on
    cross join tolerance
    where coalesce(abs(implied.opening_amount) <= tolerance.amount, true)
    union all
    select
        account_id,
        seen_month_on,
        3 as precedence,
        booked_on as anchored_on,
        balance
    from {{ ref('int_account_stated_known') }}
),

chosen as (
    select *
    from candidates
    qualify row_number() over (partition by account_id order by seen_month_on, precedence) = 1
)

-- a delivered balance that is corrected later speaks with its correction from then on
select
    chosen.account_id,
    chosen.anchored_on,
    chosen.precedence = 2 as is_from_opening,
    coalesce(versions.balance, chosen.balance) as balance,
    coalesce(versions.known_from, chosen.seen_month_on) as known_from,
    coalesce(versions.known_to, {{ open_end() }}) as known_to
from chosen
left join {{ ref('stg_balances') }} as versions
    on
        chosen.precedence = 1
        and chosen.account_id = versions.account_id
        and chosen.anchored_on = versions.balance_on
