with

persons as (
    select *
    from {{ ref('int_customer_version') }}
),

-- owners of accounts whose customer row was never delivered
missing as (
    select distinct owners.person_id
    from {{ ref('int_account_owner') }} as owners
    left join persons on owners.person_id = persons.person_id
    where owners.person_id is not null and persons.person_id is null
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
