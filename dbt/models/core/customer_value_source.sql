select
    person_id,
    valid_from,
    valid_to,
    party_type_source,
    gender_source,
    born_on_source as birth_year_source,
    city_source,
    region_source,
    education_source,
    occupation_source,
    risk_profile_source,
    registered_branch_id_source,
    industry_source,
    founded_on_source,
    is_foreign_trade_source,
    enterprise_size_source,
    preferred_channel_source,
    consent_marketing_source,
    is_employee_source,
    is_deceased_source,
    is_deleted_source
from {{ ref('int_customer_version') }}
where record_count > 1
