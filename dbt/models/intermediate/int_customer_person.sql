with

records as (
    select
        source_system,
        source_customer_id,
        max_by(registered_on, known_from) as registered_on
    from {{ ref('stg_customers') }}
    group by source_system, source_customer_id
),

persons as (
    select
        source_system,
        source_customer_id,
        person_id
    from {{ source('raw', 'person_records') }}
)

select
    records.source_system,
    records.source_customer_id,
    coalesce(
        persons.person_id,
        {{ person_id_of('records.registered_on', 'records.source_system', 'records.source_customer_id') }}
    ) as person_id
from records
left join persons
    on
        records.source_system = persons.source_system
        and records.source_customer_id = persons.source_customer_id
