with

named as (
    select
        'branch' as kind,
        source_system,
        branch_id as named_id
    from {{ ref('stg_employees') }}
    where branch_id is not null
    union
    select
        'branch' as kind,
        source_system,
        branch_id as named_id
    from {{ ref('stg_complaints') }}
    where is_current and branch_id is not null
    {% for model in ['stg_complaints', 'stg_contacts', 'stg_relationship_assignments'] -%}
        union
        select
            'employee' as kind,
            source_system,
            employee_id as named_id
        from {{ ref(model) }}
        where is_current and employee_id is not null
    {% endfor %}
),

delivered as (
    select
        'branch' as kind,
        source_system,
        branch_id as delivered_id
    from {{ ref('stg_branches') }}
    where is_last
    union
    select
        'employee' as kind,
        source_system,
        employee_id as delivered_id
    from {{ ref('stg_employees') }}
    where is_last
),

-- an id that two systems deliver says nothing about which is meant
unambiguous as (
    select
        kind,
        substr(delivered_id, length(source_system) + 2) as own_id,
        min(delivered_id) as delivered_id
    from delivered
    group by kind, substr(delivered_id, length(source_system) + 2)
    having count(*) = 1
)

select
    named.kind,
    named.named_id,
    coalesce(own.delivered_id, unambiguous.delivered_id, named.named_id) as resolved_id
from named
left join delivered as own on named.kind = own.kind and named.named_id = own.delivered_id
left join unambiguous
    on
        named.kind = unambiguous.kind
        and substr(named.named_id, length(named.source_system) + 2) = unambiguous.own_id
