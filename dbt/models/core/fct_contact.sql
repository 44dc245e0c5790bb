select
    contacts.contact_id,
    customers.person_id,
    employees.resolved_id as employee_id,
    contacts.happened_at,
    contacts.happened_on,
    contacts.planned_on,
    contacts.channel,
    contacts.form,
    contacts.purpose,
    contacts.trigger as trigger_code,
    contacts.goal,
    contacts.goal_met as is_goal_met,
    contacts.outcome,
    contacts.is_control,
    contacts.minutes as contact_minutes,
    contacts.known_from as known_on,
    contacts.is_known_on_assumed
from {{ ref('stg_contacts') }} as contacts
inner join {{ ref('int_customer_named') }} as customers
    on
        contacts.customer_source_system = customers.customer_source_system
        and contacts.source_customer_id = customers.source_customer_id
left join {{ ref('int_reference') }} as employees on employees.kind = 'employee' and contacts.employee_id = employees.named_id
where contacts.is_current
