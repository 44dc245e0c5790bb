with

members as (
    select
        month_start_on,
        dimension,
        from_member as member,
        person_count as started,
        case when to_member = 'outside' then person_count else 0 end as left_bank,
        case when to_member not in ('outside', from_member) then person_count else 0 end as moved_out,
        0 as entered_bank,
        0 as moved_in,
        0 as ended,
        person_count - unknown_before_count as known_before,
        0 as known_after,
        aum_before_base as aum_before,
        0 as aum_after
    from {{ ref('customer_migration_month') }}
    where from_member <> 'outside'
    union all
    select
        month_start_on,
        dimension,
        to_member as member,
        0 as started,
        0 as left_bank,
        0 as moved_out,
        case when from_member = 'outside' then person_count else 0 end as entered_bank,
        case when from_member not in ('outside', to_member) then person_count else 0 end as moved_in,
        person_count as ended,
        0 as known_before,
        person_count - unknown_after_count as known_after,
        0 as aum_before,
        aum_after_base as aum_after
    from {{ ref('customer_migration_month') }}
    where to_member <> 'outside'
),

summed as (
    select
        month_start_on,
        dimension,
        member,
        sum(started) as started,
        sum(entered_bank) as entered_bank,
        sum(moved_in) as moved_in,
        sum(moved_out) as moved_out,
        sum(left_bank) as left_bank,
        sum(ended) as ended,
        sum(known_before) as known_before,
        sum(known_after) as known_after,
        sum(aum_before) as aum_before,
        sum(aum_after) as aum_after
    from members
    group by month_start_on, dimension, member
),

-- more persons at the balance of before, then another balance of those who are there: the two make the change
split as (
    select
        *,
        case
            when known_before = 0 then aum_after
            else {{ divide_amount('(aum_before * (known_after - known_before))', 'known_before') }}
        end as count_effect
    from summed
)

select
    month_start_on,
    dimension,
    member,
    cast(started as bigint) as person_count_before,
    cast(entered_bank as bigint) as entered_count,
    cast(moved_in as bigint) as moved_in_count,
    cast(moved_out as bigint) as moved_out_count,
    cast(left_bank as bigint) as left_count,
    cast(ended as bigint) as person_count,
    cast(ended - known_after as bigint) as unknown_count,
    cast(aum_before as decimal(18, 2)) as aum_average_before_base,
    cast(aum_after as decimal(18, 2)) as aum_average_base,
    cast(aum_after - aum_before as decimal(18, 2)) as aum_change_base,
    cast(count_effect as decimal(18, 2)) as count_effect_base,
    cast(aum_after - aum_before - count_effect as decimal(18, 2)) as balance_effect_base
from split
