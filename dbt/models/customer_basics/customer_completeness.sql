-- sqlfluff:exclude_rules:LT02
{% set groups = ['basic', 'family', 'supplementary', 'preference', 'business_scale'] %}
with

weights as (
    select *
    from {{ ref('completeness_weights') }}
    where valid_from <= {{ as_of() }} and {{ as_of() }} < valid_to
),

-- an attribute is asked of persons, of firms, or of both; who is not said to be a firm is asked as a person
asked as (
    select
        weights.*,
        attributes.person_id,
        attributes.is_known
    from {{ ref('int_person_attribute') }} as attributes
    inner join {{ ref('dim_customer') }} as customers
        on
            attributes.person_id = customers.person_id
            and customers.is_current
    inner join weights
        on
            attributes.attribute = weights.attribute
            and weights.party_type in ('both', coalesce(customers.party_type, 'personal'))
    where weights.weight > 0
),

summed as (
    select
        person_id,
        count(*) as asked_count,
        count(*) filter (where not is_known) as missing_count,
        sum(weight) as asked_weight,
        sum(case when is_known then weight else 0 end) as known_weight,
    {%- for group in groups %}
        sum(weight) filter (where attribute_group = '{{ group }}') as {{ group }}_asked,
        sum(case when is_known then weight else 0 end) filter (where attribute_group = '{{ group }}') as {{ group }}_known,
    {%- endfor %}
        string_agg(attribute, ', ' order by weight desc, attribute asc) filter (where not is_known) as missing,
        string_agg(name_en, ', ' order by weight desc, attribute asc) filter (where not is_known) as missing_en,
        string_agg(name_zh, '、' order by weight desc, attribute asc) filter (where not is_known) as missing_zh
    from asked
    group by person_id
)

select
    person_id,
    {{ ratio('known_weight', 'asked_weight') }} as completeness_ratio,
{%- for group in groups %}
    {{ ratio(group ~ '_known', group ~ '_asked') }} as {{ group }}_ratio,
{%- endfor %}
    cast(asked_count as integer) as asked_count,
    cast(missing_count as integer) as missing_count,
    missing as missing_attributes,
    missing_en,
    missing_zh
from summed
