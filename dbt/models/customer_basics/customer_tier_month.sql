with

bands as (
    select distinct
        months.month_number,
        bands.*
    from {{ ref('int_person_month') }} as months
    inner join {{ ref('tier_bands') }} as bands
        on
            months.month_end_on >= bands.valid_from
            and months.month_end_on < bands.valid_to
),

history as (
    select
        *,
        lag(tier_rank) over (partition by person_id order by month_number) as previous_rank
    from {{ ref('int_person_month_tier') }}
)

select
    months.person_id,
    months.month_start_on,
    bands.tier,
    cast(history.tier_rank as integer) as tier_rank,
    bands.name_en as tier_name,
    bands.name_zh as tier_name_zh,
    bands.manager_grade,
    case
        when history.tier_rank is null then 'no balance of an asset account is known yet'
    end as tier_absence,
    case
        when history.tier_rank is null then '尚无已知资产余额'
    end as tier_absence_zh,
    cast(months.aum_average as decimal(18, 2)) as aum_average_base,
    reached.tier as reached_tier,
    history.reached_rank < history.tier_rank as is_missed,
    cast(history.missed_months as integer) as missed_months,
    bands.misses_allowed,
    case
        when history.tier_rank is null then null
        when history.missed_months > 0 then 'watch'
        else 'kept'
    end as tier_status,
    next_bands.tier as next_tier,
    case
        when history.tier_rank is null then null
        when history.previous_rank is null then 'entry'
        when history.tier_rank > history.previous_rank then 'up'
        when history.tier_rank < history.previous_rank then 'down'
    end as tier_move,
    previous.tier as previous_tier,
    moves.reason as move_reason,
    cast(moves.change as decimal(18, 2)) as move_change_base,
    cast(moves.market_value as decimal(18, 2)) as move_market_value_base,
    cast(moves.external_flow as decimal(18, 2)) as move_external_flow_base,
    cast(moves.own_transfer as decimal(18, 2)) as move_own_transfer_base,
    cast(moves.unexplained as decimal(18, 2)) as move_unexplained_base,
    cast(moves.matured as decimal(18, 2)) as move_matured_base
from {{ ref('int_person_month') }} as months
inner join history on months.person_id = history.person_id and months.month_number = history.month_number
left join bands on history.month_number = bands.month_number and history.tier_rank = bands.tier_rank
left join bands as reached on history.month_number = reached.month_number and history.reached_rank = reached.tier_rank
left join bands as next_bands on history.month_number = next_bands.month_number and history.next_rank = next_bands.tier_rank
left join bands as previous on history.month_number = previous.month_number and history.previous_rank = previous.tier_rank
left join {{ ref('int_tier_move') }} as moves
    on
        history.person_id = moves.person_id
        and history.month_number = moves.month_number
        and history.tier_rank <> history.previous_rank
