{{ config(schema='bookkeeping') }}
{#
    Every delivered table and every seed counts, whether or not the months are made from it today: one that is forgotten would leave them stale.
#}
{% set seeds = [
    'age_bands',
    'bank_holidays',
    'channels',
    'completeness_weights',
    'currencies',
    'feature_names',
    'lifecycle_bounds',
    'product_categories',
    'product_category_tree',
    'product_terms',
    'quality_rules',
    'settings',
    'source_reliability',
    'tier_bands',
] %}

with

months as (
    select max(month_end_on) as last_month_end_on
    from {{ ref('dim_date') }}
    where month_end_on <= {{ as_of() }}
),

-- records whose person shows in a complete month: those known by then, and those that something known by then names
records as (
    select
        versions.source_system,
        versions.source_customer_id
    from {{ ref('stg_customers') }} as versions
    cross join months
    where versions.known_from <= months.last_month_end_on
    {%- for naming in ['stg_accounts', 'stg_account_holders', 'stg_complaints', 'stg_relationship_assignments'] %}
        union
        select
            {% if naming == 'stg_accounts' -%}
                coalesce(versions.customer_source_system, versions.source_system)
            {%- else -%}
                versions.customer_source_system
            {%- endif %} as source_system,
            versions.source_customer_id
        from {{ ref(naming) }} as versions
        cross join months
        where versions.known_from <= months.last_month_end_on
    {%- endfor %}
),

parts as (
    select
        'persons' as part,
        count(*) as row_count,
        {{ hash_of_rows('persons.source_system', 'persons.source_customer_id', 'persons.person_id') }} as content
    from {{ ref('int_customer_person') }} as persons
    inner join records
        on
            persons.source_system = records.source_system
            and persons.source_customer_id = records.source_customer_id
    {%- for seed in seeds %}
        union all
        select
            'settings.{{ seed }}' as part,
            count(*) as row_count,
            {{ hash_of_rows('seed') }} as content
        from {{ ref(seed) }} as seed  -- noqa: AL05
    {%- endfor %}
    {%- if execute %}
        {%- for table in graph.sources.values() | selectattr('source_name', 'equalto', 'raw') if 'batch' in table.columns %}
    union all
    select
        'raw.{{ table.name }}' as part,
        count(*) as row_count,
        {{ hash_of_rows('delivered.batch', 'delivered.row_hash') }} as content
    from {{ table.relation_name }} as delivered
    cross join months
    where delivered.known_on <= months.last_month_end_on
    {%- endfor %}
    {%- endif %}
)

select
    sha256(
        string_agg(parts.part || ' ' || parts.row_count || ' ' || coalesce(parts.content, ''), ', ' order by parts.part)
        || ' to ' || coalesce(cast(max(months.last_month_end_on) as varchar), 'none')
        || {{ "' " ~ applied_settings() ~ "'" }}
    ) as state
from parts
cross join months
