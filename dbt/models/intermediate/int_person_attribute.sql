-- sqlfluff:exclude_rules:LT02,RF04
{#
    Which attributes of a person some record states today. Of what identifies a person only this is known here: that the vault holds something.
#}
{%- set attributes = {
    'name': 'name_token', 'id_number': 'id_number_token', 'mobile': 'mobile_token', 'email': 'email_token', 'address': 'address_token',
    'region': 'region', 'born_on': 'born_on', 'gender': 'gender', 'married_on': 'married_on', 'education': 'education', 'occupation': 'occupation',
    'annual_income': 'annual_income', 'risk_profile': 'risk_profile', 'preferred_channel': 'preferred_channel',
    'consent_marketing': 'consent_marketing', 'industry': 'industry', 'founded_on': 'founded_on', 'enterprise_size': 'enterprise_size',
    'is_foreign_trade': 'is_foreign_trade',
} -%}
{%- set stated = ['source_customer_id'] -%}
{%- for name, column in attributes.items() %}{% do stated.append(column ~ ' is not null as has_' ~ name) %}{% endfor -%}
with

records as (
    {{ versions(source('raw', 'customers'), keys=['source_system', 'source_customer_id'], columns=stated) | indent(4) }}
),

persons as (
    select
        persons.person_id,
    {%- for name in attributes %}
        bool_or(records.has_{{ name }}) as has_{{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
    from records
    inner join {{ ref('int_customer_person') }} as persons
        on
            records.source_system = persons.source_system
            and records.source_customer_id = persons.source_customer_id
    where records.is_current
    group by persons.person_id
)
{% for name in attributes %}
select
    person_id,
    '{{ name }}' as attribute,
    has_{{ name }} as is_known
from persons
{{ 'union all' if not loop.last }}
{%- endfor %}
