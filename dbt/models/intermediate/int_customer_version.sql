{%- set attributes = [
    'party_type', 'gender', 'born_on', 'city', 'region', 'education', 'occupation', 'risk_profile', 'registered_branch_id', 'industry', 'founded_on', 'is_foreign_trade',
    'enterprise_size', 'preferred_channel', 'consent_marketing', 'is_employee', 'is_deceased', 'is_deleted',
] -%}
with

records as (
    select
        persons.person_id,
        customers.*
    from {{ ref('stg_customers') }} as customers
    inner join {{ ref('int_customer_person') }} as persons
        on
            customers.source_system = persons.source_system
            and customers.source_customer_id = persons.source_customer_id
),

-- every day on which something about one of the person's records changed
changes as (
    select
        person_id,
        known_from as valid_from
    from records
    union
    select
        person_id,
        known_to as valid_from
    from records
    where not is_current
),

intervals as (
    select
        person_id,
        valid_from,
        coalesce(lead(valid_from) over (partition by person_id order by valid_from), {{ open_end() }}) as valid_to
    from changes
),

-- a person none of whose records stands was deleted: what stood until then speaks on
ranked as (
    select
        intervals.valid_from,
        intervals.valid_to,
        records.*,
        intervals.valid_from < records.known_to as is_standing,
        row_number() over (
            partition by intervals.person_id, intervals.valid_from
            order by
                coalesce(records.updated_at, cast(records.known_from as timestamp)) asc,
                records.known_from asc, records.source_system desc, records.source_customer_id desc
        ) as recency
    from intervals
    inner join records
        on
            intervals.person_id = records.person_id
            and intervals.valid_from >= records.known_from
            and intervals.valid_from <= records.known_to
    qualify
        is_standing
        or not bool_or(is_standing) over (partition by intervals.person_id, intervals.valid_from)
),

systems as (
    select distinct source_system
    from records
),

reliability as (
    select
        attribute,
        source_system,
        precedence
    from {{ ref('source_reliability') }}
    where
        valid_from <= {{ as_of() }}
        and {{ as_of() }} < valid_to
),

-- how far each system is believed about each attribute: what is said of just this attribute, or of all of them
believed as (
    select
        systems.source_system,
    {%- for attribute in attributes %}
        coalesce(
            min(reliability.precedence) filter (
                where reliability.attribute = '{{ attribute }}' and reliability.source_system = systems.source_system
            ),
            min(reliability.precedence) filter (
                where reliability.attribute = '{{ attribute }}' and reliability.source_system = '*'
            ),
            min(reliability.precedence) filter (
                where reliability.attribute = '*' and reliability.source_system = systems.source_system
            ),
            999
        ) as {{ attribute }}_precedence{{ ',' if not loop.last }}
    {%- endfor %}
    from systems
    cross join reliability
    group by systems.source_system
)

-- of several records of a person the most reliable system speaks, then the newest statement
select
    ranked.person_id,
    ranked.valid_from,
    ranked.valid_to,
    {% for attribute in attributes -%}
        {{ surviving(attribute) }},
    {% endfor -%}
    min(ranked.registered_on) as registered_on,
    count(*) filter (where ranked.is_standing) as record_count,
    bool_or(ranked.is_known_on_assumed) as is_known_on_assumed
from ranked
inner join believed on ranked.source_system = believed.source_system
group by ranked.person_id, ranked.valid_from, ranked.valid_to
