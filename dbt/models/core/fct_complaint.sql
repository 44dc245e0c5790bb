with

-- an answer that is delivered ahead of its day is not told
complaints as (
    select
        *,
        coalesce(closed_on <= {{ as_of() }}, false) as is_answered
    from {{ ref('stg_complaints') }}
    where is_current
)

select
    complaints.complaint_id,
    customers.person_id,
    complaints.opened_at,
    complaints.opened_on,
    case when complaints.is_answered then complaints.closed_at end as closed_at,
    case when complaints.is_answered then complaints.closed_on end as closed_on,
    complaints.kind,
    complaints.category,
    complaints.severity,
    complaints.channel,
    branches.resolved_id as branch_id,
    employees.resolved_id as employee_id,
    complaints.product_code,
    case when complaints.is_answered then complaints.resolution end as resolution,
    complaints.reopened_count,
    not complaints.is_answered as is_open,
    greatest(
        {{ days_between(
            'complaints.opened_on',
            'case when complaints.is_answered then complaints.closed_on else ' ~ as_of() ~ ' end'
        ) }},
        0
    ) as waiting_days,
    complaints.known_from as known_on,
    complaints.is_known_on_assumed
from complaints
inner join {{ ref('int_customer_named') }} as customers
    on
        complaints.customer_source_system = customers.customer_source_system
        and complaints.source_customer_id = customers.source_customer_id
left join {{ ref('int_reference') }} as branches on branches.kind = 'branch' and complaints.branch_id = branches.named_id
left join {{ ref('int_reference') }} as employees on employees.kind = 'employee' and complaints.employee_id = employees.named_id
