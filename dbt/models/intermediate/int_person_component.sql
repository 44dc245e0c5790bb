with recursive

edges as (
    select
        kind,
        first_person_id as person_id,
        second_person_id as neighbour_id
    from {{ ref('int_person_link') }}
    union
    select
        kind,
        second_person_id as person_id,
        first_person_id as neighbour_id
    from {{ ref('int_person_link') }}
),

-- only who is smaller than all neighbours can name a component: few enough to be told to everybody they reach
reached as (
    select
        kind,
        person_id,
        person_id as component_id
    from edges
    group by kind, person_id
    having min(neighbour_id) > person_id
    union
    select
        edges.kind,
        edges.neighbour_id as person_id,
        reached.component_id
    from reached
    inner join edges on reached.kind = edges.kind and reached.person_id = edges.person_id
)

select
    kind,
    person_id,
    min(component_id) as component_id
from reached
group by kind, person_id
