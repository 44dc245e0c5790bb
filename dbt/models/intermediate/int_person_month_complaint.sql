with

complaints as (
    select
        persons.person_id,
        versions.*
    from {{ ref('stg_complaints') }} as versions
    inner join {{ ref('int_customer_person') }} as persons
        on
            versions.customer_source_system = persons.source_system
            and versions.source_customer_id = persons.source_customer_id
    where versions.kind = 'complaint'
),

-- an answer that is delivered ahead of its day is not told
seen as (
    select
        holdings.person_id,
        holdings.month_start_on,
        holdings.month_end_on,
        complaints.opened_on,
        case when complaints.closed_on <= holdings.month_end_on then complaints.closed_on end as closed_on
    from {{ ref('int_person_month_holding') }} as holdings
    inner join complaints
        on
            holdings.person_id = complaints.person_id
            and holdings.month_end_on >= complaints.opened_on
            and holdings.month_end_on >= complaints.known_from
            and holdings.month_end_on < complaints.known_to
)

select
    person_id,
    month_start_on,
    count(*) filter (where closed_on is null) as complaints_open,
    count(*) filter (where opened_on > {{ add_days('month_end_on', -365) }}) as complaints_12m,
    max({{ days_between('opened_on', 'month_end_on') }}) filter (where closed_on is null) as days_since_unanswered,
    max({{ days_between('opened_on', 'coalesce(closed_on, month_end_on)') }}) filter (
        where coalesce(closed_on, month_end_on) > {{ add_days('month_end_on', -183) }}
    ) as longest_wait_days_6m
from seen
group by person_id, month_start_on
