-- only records known at the as-of date: who a later record is must not show before it came
with

records as (
    select distinct
        source_system,
        source_customer_id
    from {{ ref('stg_customers') }}
)

select
    records.source_system,
    records.source_customer_id,
    persons.person_id
from records
inner join {{ source('raw', 'person_records') }} as persons
    on
        records.source_system = persons.source_system
        and records.source_customer_id = persons.source_customer_id
        -- and who was one person by then: records that came together later were two
        and persons.known_from <= {{ as_of() }}
        and persons.known_to > {{ as_of() }}
