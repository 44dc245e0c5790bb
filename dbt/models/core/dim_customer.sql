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

-- of several records of a person the newest statement of each attribute speaks
persons as (
    select
        person_id,
        valid_from,
        valid_to,
        {{ newest('party_type') }},
        {{ newest('gender') }},
        {{ newest('born_on') }},
        {{ newest('city') }},
        {{ newest('region') }},
        {{ newest('education') }},
        {{ newest('occupation') }},
        {{ newest('risk_profile') }},
        {{ newest('registered_branch_id') }},
        min(registered_on) as registered_on,
        {{ newest('industry') }},
        {{ newest('founded_on') }},
        {{ newest('is_foreign_trade') }},
        {{ newest('enterprise_size') }},
        {{ newest('preferred_channel') }},
        {{ newest('consent_marketing') }},
        {{ newest('is_employee') }},
        {{ newest('is_deceased') }},
        {{ newest('is_deleted') }},
        count(*) filter (where is_standing) as record_count,
        bool_or(is_known_on_assumed) as is_known_on_assumed
    from ranked
    group by person_id, valid_from, valid_to
),

-- whom accounts or other rows name and whose customer row was never delivered
missing as (
    select person_id
    from {{ ref('int_account_owner') }}
    where person_id is not null
    union
    select person_id
    from {{ ref('int_customer_named') }}
    except
    select person_id
    from persons
),

versions as (
    select
        person_id,
        valid_from,
        valid_to,
        false as is_inferred
    from persons
    union all
    select
        person_id,
        {{ known_from_the_start() }} as valid_from,
        {{ open_end() }} as valid_to,
        true as is_inferred
    from missing
)

select
    versions.person_id,
    versions.valid_from,
    versions.valid_to,
    versions.valid_to = {{ open_end() }} as is_current,
    persons.party_type,
    persons.gender,
    cast(extract(year from persons.born_on) as integer) as birth_year,
    bands.age_band,
    persons.city,
    persons.region,
    persons.education,
    persons.occupation,
    persons.risk_profile,
    persons.registered_branch_id,
    persons.registered_on,
    persons.industry,
    persons.founded_on,
    persons.is_foreign_trade,
    persons.enterprise_size,
    persons.preferred_channel,
    persons.consent_marketing,
    persons.is_employee,
    persons.is_deceased,
    persons.record_count = 0 or persons.is_deleted as is_deleted,
    cast(coalesce(persons.record_count, 0) as integer) as record_count,
    versions.is_inferred,
    coalesce(persons.is_known_on_assumed, false) as is_known_on_assumed
from versions
left join persons
    on
        versions.person_id = persons.person_id
        and versions.valid_from = persons.valid_from
        and not versions.is_inferred
left join {{ ref('age_bands') }} as bands
    on
        {{ completed_years('persons.born_on', as_of()) }} >= bands.age_from
        and {{ completed_years('persons.born_on', as_of()) }} < bands.age_below
        and bands.valid_from <= {{ as_of() }}
        and {{ as_of() }} < bands.valid_to
