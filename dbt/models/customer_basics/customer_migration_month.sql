-- sqlfluff:exclude_rules:LT02,RF04,ST06
{% set dimensions = ['tier', 'lifecycle_stage', 'age_band', 'region', 'channel', 'branch'] %}
with

months as (
    select
        *,
        lag(month_number) over history is not null as has_previous,
        coalesce(lag(is_customer) over history, false) as was_customer,
        lag(aum_average) over history as aum_before,
    {%- for dimension in dimensions %}
        lag({{ dimension }}) over history as previous_{{ dimension }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('int_person_month_group') }}
    window history as (partition by person_id order by month_number)
),

-- the first month of the history has none before it
moves as (
    select *
    from months
    where
        (is_customer or was_customer)
        and month_number > (select min(groups.month_number) from {{ ref('int_person_month_group') }} as groups)
),

counted as (
{%- for dimension in dimensions %}
    select
        month_start_on,
        '{{ dimension }}' as dimension,
        case when was_customer then previous_{{ dimension }} else 'outside' end as from_member,
        case when is_customer then {{ dimension }} else 'outside' end as to_member,
        count(*) as person_count,
        count(*) filter (where was_customer and aum_before is null) as unknown_before_count,
        count(*) filter (where is_customer and aum_average is null) as unknown_after_count,
        coalesce(sum(aum_before) filter (where was_customer), 0) as aum_before,
        coalesce(sum(aum_average) filter (where is_customer), 0) as aum_after
    from moves
    group by
        month_start_on,
        case when was_customer then previous_{{ dimension }} else 'outside' end,
        case when is_customer then {{ dimension }} else 'outside' end
    {{ 'union all' if not loop.last }}
{%- endfor %}
),

cohorts as (
    select
        *,
        sum(person_count) over (partition by month_start_on, dimension, from_member) as cohort_count
    from counted
)

select
    month_start_on,
    dimension,
    from_member,
    to_member,
    cast(person_count as bigint) as person_count,
    cast(cohort_count as bigint) as cohort_count,
    cast(person_count as double) / cast(cohort_count as double) as person_ratio,
    cast(unknown_before_count as bigint) as unknown_before_count,
    cast(unknown_after_count as bigint) as unknown_after_count,
    cast(aum_before as decimal(18, 2)) as aum_before_base,
    cast(aum_after as decimal(18, 2)) as aum_after_base
from cohorts
