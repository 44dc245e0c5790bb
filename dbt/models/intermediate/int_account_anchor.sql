with

tolerance as (
    select value as amount
    from {{ ref('settings') }}
    where setting = 'reconciliation_tolerance'
),

feeds as (
    select
        source_system,
        min(first_booked_on) as feed_from
    from {{ ref('int_account') }}
    where first_booked_on >= opened_on
    group by source_system
),

histories as (
    select
        accounts.account_id,
        accounts.opened_on,
        accounts.first_booked_on,
        coalesce(
            accounts.first_booked_on <= accounts.opened_on or accounts.opened_on >= feeds.feed_from,
            false
        ) as starts_at_opening
    from {{ ref('int_account') }} as accounts
    left join feeds on accounts.source_system = feeds.source_system
    where accounts.first_booked_on is not null
),

-- what the account would have held before its first transaction, if this row is the last one of its day
stated as (
    select
        transactions.account_id,
        transactions.booked_on,
        transactions.balance_after - days.cumulated_amount as opening_amount
    from {{ ref('fct_transaction') }} as transactions
    inner join {{ ref('int_account_day') }} as days
        on
            transactions.account_id = days.account_id
            and transactions.booked_on = days.booked_on
    where transactions.balance_after is not null
),

first_stated_on as (
    select
        account_id,
        min(booked_on) as booked_on
    from {{ ref('fct_transaction') }}
    where balance_after is not null and booked_on <= {{ as_of() }}
    group by account_id
),

first_stated_day as (
    select
        stated.account_id,
        stated.opening_amount,
        abs(stated.opening_amount) <= tolerance.amount as agrees_with_zero
    from stated
    inner join first_stated_on
        on
            stated.account_id = first_stated_on.account_id
            and stated.booked_on = first_stated_on.booked_on
    cross join tolerance
),

uncertain as (
    select
        histories.account_id,
        histories.starts_at_opening
    from histories
    inner join first_stated_day on histories.account_id = first_stated_day.account_id
    group by histories.account_id, histories.starts_at_opening
    having not (histories.starts_at_opening and bool_or(first_stated_day.agrees_with_zero))
),

candidates as (
    select
        uncertain.account_id,
        first_stated_day.opening_amount
    from uncertain
    inner join first_stated_day on uncertain.account_id = first_stated_day.account_id
    union
    select
        account_id,
        cast(0 as decimal(18, 2)) as opening_amount
    from uncertain
    where starts_at_opening
),

supporting_days as (
    select
        candidates.account_id,
        candidates.opening_amount,
        stated.booked_on
    from candidates
    inner join stated on candidates.account_id = stated.account_id
    cross join tolerance
    where abs(candidates.opening_amount - stated.opening_amount) <= tolerance.amount
    group by candidates.account_id, candidates.opening_amount, stated.booked_on
),

anchors as (
    select
        account_id,
        opening_amount
    from supporting_days
    group by account_id, opening_amount
    qualify
        row_number() over (
            partition by account_id
            order by count(*) desc, abs(opening_amount) asc, opening_amount asc
        ) = 1
),

judged as (
    select
        histories.account_id,
        histories.opened_on,
        least(histories.first_booked_on, statements.balance_on) as known_from,
        histories.starts_at_opening
        and case
            when statements.account_id is null then coalesce(anchors.opening_amount, 0) = 0
            else abs(statements.opening_amount) <= tolerance.amount
        end as is_from_opening,
        coalesce(statements.opening_amount, anchors.opening_amount) as opening_amount
    from histories
    left join anchors on histories.account_id = anchors.account_id
    left join {{ ref('int_account_statement') }} as statements on histories.account_id = statements.account_id
    cross join tolerance
    union all
    select
        account_id,
        opened_on,
        coalesce(balance_on, opened_on) as known_from,
        balance_on is null as is_from_opening,
        opening_amount
    from {{ ref('int_account_statement') }}
    where is_without_transactions
)

select
    account_id,
    case when is_from_opening then 0 else opening_amount end as opening_amount,
    case
        when is_from_opening then least(opened_on, known_from)
        when opening_amount is not null then known_from
    end as balance_from,
    is_from_opening,
    case
        when is_from_opening then 'transactions from opening'
        when opening_amount is not null then 'anchored on stated balance'
        when opened_on is null then 'absent: opening date unknown and no balance stated'
        else 'absent: history starts after opening and no balance stated'
    end as balance_basis
from judged
