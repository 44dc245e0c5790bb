{% set naming = [
    ('stg_account_holders', 'customer_source_system', 'source_customer_id'),
    ('stg_contacts', 'customer_source_system', 'source_customer_id'),
    ('stg_complaints', 'customer_source_system', 'source_customer_id'),
    ('stg_survey_responses', 'customer_source_system', 'source_customer_id'),
    ('stg_campaign_contacts', 'customer_source_system', 'source_customer_id'),
    ('stg_relationship_assignments', 'customer_source_system', 'source_customer_id'),
    ('stg_crm_stated_assets', 'customer_source_system', 'source_customer_id'),
    ('stg_customer_relationships', 'customer_source_system', 'source_customer_id'),
    ('stg_customer_relationships', 'related_source_system', 'related_customer_id'),
] %}

with

named as (
    {% for model, source_system, customer in naming -%}
        select
            {{ source_system }} as customer_source_system,
            {{ customer }} as source_customer_id
        from {{ ref(model) }}
        where is_current
        {{ 'union' if not loop.last }}
    {% endfor -%}
)

select
    named.customer_source_system,
    named.source_customer_id,
    coalesce(
        persons.person_id,
        {{ person_id_of_unknown('named.customer_source_system', 'named.source_customer_id') }}
    ) as person_id
from named
left join {{ ref('int_customer_person') }} as persons
    on
        named.customer_source_system = persons.source_system
        and named.source_customer_id = persons.source_customer_id
