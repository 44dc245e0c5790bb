{#
    The tier engine: what is reached in a month decides what is in force from the next one on. In force stays in force until a higher tier is reached
    (up at once) or as many months in a row are missed as the tier allows (down to the tier of the last of them). Months without a known balance count
    neither way. Who never reaches another tier than the first is not walked through.
#}
with recursive

reached as (
    select
        months.person_id,
        months.month_number,
        months.is_first_of_history,
        cast(bands.tier_rank as integer) as reached_rank
    from {{ ref('int_person_month') }} as months
    left join {{ ref('tier_bands') }} as bands
        on
            months.month_end_on >= bands.valid_from
            and months.month_end_on < bands.valid_to
            and coalesce(months.aum_average >= bands.aum_from, months.aum_average is not null)
            and coalesce(months.aum_average < bands.aum_below, months.aum_average is not null)
),

allowed as (
    select distinct
        months.month_number,
        cast(bands.tier_rank as integer) as tier_rank,
        bands.misses_allowed
    from {{ ref('int_person_month') }} as months
    inner join {{ ref('tier_bands') }} as bands
        on
            months.month_end_on >= bands.valid_from
            and months.month_end_on < bands.valid_to
),

-- who was there before the history begins enters in the tier reached in its first month, who comes later in the lowest
entries as (
    select
        person_id,
        min(month_number) as month_number,
        case
            when bool_or(is_first_of_history) then min(reached_rank) filter (where is_first_of_history)
            else 1
        end as tier_rank
    from reached
    group by person_id
),

walked as (
    select
        entries.person_id,
        row_number() over (order by entries.person_id) as person_number,
        entries.month_number,
        entries.tier_rank
    from entries
    inner join reached on entries.person_id = reached.person_id
    group by entries.person_id, entries.month_number, entries.tier_rank
    having entries.tier_rank is null or bool_or(reached.reached_rank <> entries.tier_rank)
),

walked_months as (
    select
        walked.person_number,
        reached.month_number,
        reached.reached_rank
    from walked
    inner join reached on walked.person_id = reached.person_id
),

tiers as (
    select
        months.person_number,
        months.month_number,
        months.reached_rank,
        walked.tier_rank,
        0 as missed_months,
        cast(null as integer) as missed_from,
        case
            when months.reached_rank > walked.tier_rank or walked.tier_rank is null then months.reached_rank
            else walked.tier_rank
        end as next_rank
    from walked
    inner join walked_months as months
        on
            walked.person_number = months.person_number
            and walked.month_number = months.month_number
    union all
    select
        counted.person_number,
        counted.month_number,
        counted.reached_rank,
        counted.tier_rank,
        counted.missed_months,
        case when counted.missed_months > 0 then coalesce(counted.missed_from, counted.month_number) end as missed_from,
        case
            when counted.reached_rank > counted.tier_rank or counted.tier_rank is null then counted.reached_rank
            when counted.missed_months >= allowed.misses_allowed and counted.reached_rank is not null then counted.reached_rank
            else counted.tier_rank
        end as next_rank
    from (
        select
            months.person_number,
            months.month_number,
            months.reached_rank,
            tiers.next_rank as tier_rank,
            case when tiers.next_rank = tiers.tier_rank then tiers.missed_from end as missed_from,
            case
                when months.reached_rank < tiers.next_rank
                    then case when tiers.next_rank = tiers.tier_rank then tiers.missed_months else 0 end + 1
                when months.reached_rank is null and tiers.next_rank = tiers.tier_rank then tiers.missed_months
                else 0
            end as missed_months
        from tiers
        inner join walked_months as months
            on
                tiers.person_number = months.person_number
                and tiers.month_number + 1 = months.month_number
    ) as counted
    left join allowed on counted.month_number = allowed.month_number and counted.tier_rank = allowed.tier_rank
)

select
    reached.person_id,
    reached.month_number,
    reached.reached_rank,
    case when walked.person_id is null then entries.tier_rank else tiers.tier_rank end as tier_rank,
    coalesce(tiers.missed_months, 0) as missed_months,
    tiers.missed_from,
    case when walked.person_id is null then entries.tier_rank else tiers.next_rank end as next_rank
from reached
inner join entries on reached.person_id = entries.person_id
left join walked on reached.person_id = walked.person_id
left join tiers on walked.person_number = tiers.person_number and reached.month_number = tiers.month_number
