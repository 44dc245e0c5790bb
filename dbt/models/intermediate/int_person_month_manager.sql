with

assignments as (
    select
        persons.person_id,
        versions.*
    from {{ ref('stg_relationship_assignments') }} as versions
    inner join {{ ref('int_customer_person') }} as persons
        on
            versions.customer_source_system = persons.source_system
            and versions.source_customer_id = persons.source_customer_id
),

-- who looks after the person at the month's end, as known then; an end that is told ahead of its day is not yet one
managers as (
    select
        holdings.person_id,
        holdings.month_start_on,
        assignments.employee_id,
        assignments.valid_from
    from {{ ref('int_person_month_holding') }} as holdings
    inner join assignments
        on
            holdings.person_id = assignments.person_id
            and holdings.month_end_on >= assignments.known_from
            and holdings.month_end_on < assignments.known_to
            and holdings.month_end_on >= assignments.valid_from
            and coalesce(holdings.month_end_on <= assignments.valid_to, true)
    qualify
        row_number() over (
            partition by holdings.person_id, holdings.month_start_on
            order by assignments.valid_from desc, assignments.employee_id asc
        ) = 1
),

compared as (
    select
        holdings.person_id,
        holdings.month_start_on,
        holdings.month_end_on,
        managers.employee_id,
        managers.valid_from,
        coalesce(
            managers.employee_id <> lag(managers.employee_id ignore nulls) over (
                partition by holdings.person_id order by holdings.month_start_on
            ), false
        ) as is_changed
    from {{ ref('int_person_month_holding') }} as holdings
    left join managers
        on
            holdings.person_id = managers.person_id
            and holdings.month_start_on = managers.month_start_on
)

select
    person_id,
    month_start_on,
    employee_id is not null as has_manager,
    bool_or(is_changed) over (
        partition by person_id order by month_start_on rows between 2 preceding and current row
    ) as manager_changed_3m,
    {{ days_between('valid_from', 'month_end_on') }} as manager_days
from compared
