{#
    The versions of a delivered table as known at the as-of date: half-open intervals of known time.

    Of the rows of a key known on one day one counts, whatever the order of arrival: a delete before an upsert, then the last by
    (delivery_id, source_row, row_hash). A place in a file means something within its delivery only, so the delivery comes first.
    A row delivered again unchanged opens no version; a delete ends the version before it, which stays the last one (`is_last`).

    Nearly every key is delivered once: only the others are sorted, which takes a third of the time of sorting all.

    relation : the raw table
    keys     : its key columns
    columns  : its other columns, as SQL (`expression as name`)
    touched  : optional query of keys; only their versions are made
#}
{% macro versions(relation, keys, columns, touched=none) %}
{%- set key = keys | join(', ') %}
{%- set is_known %}
    known_on <= {{ as_of() }}
    {%- if touched is not none %}
        and ({{ key }}) in ({{ touched }})
    {%- endif %}
{%- endset -%}
with

repeated as (
    select {{ key }}
    from {{ relation }}
    where {{ is_known }}
    group by {{ key }}
    having count(*) > 1
),

delivered_once as (
    select
        *,
        {{ open_end() }} as known_to,
        true as is_last
    from {{ relation }} as delivered
    where
        {{ is_known }}
        and not exists (
            select 1
            from repeated
            where {{ same_key('repeated', keys, 'delivered', keys) }}
        )
),

last_of_day as (
    select *
    from {{ relation }}
    where
        {{ is_known }}
        and ({{ key }}) in (select {{ key }} from repeated)
    qualify
        row_number() over (
            partition by {{ key }}, known_on
            order by operation asc, delivery_id desc, source_row desc, row_hash desc, is_known_on_assumed asc
        ) = 1
),

compared as (
    select
        *,
        lag(row_hash) over (partition by {{ key }} order by known_on) as previous_hash,
        lag(operation) over (partition by {{ key }} order by known_on) as previous_operation
    from last_of_day
),

changed as (
    select
        *,
        coalesce(
            lead(known_on) over (partition by {{ key }} order by known_on),
            {{ open_end() }}
        ) as known_to,
        known_on = max(known_on) filter (where operation = 'upsert') over (partition by {{ key }}) as is_last
    from compared
    where
        previous_hash is null
        or operation <> previous_operation
        or (operation = 'upsert' and row_hash <> previous_hash)
)
{% for rows in ['delivered_once', 'changed'] %}
select
    source_system,
    {%- for column in columns %}
    {{ column }},
    {%- endfor %}
    is_known_on_assumed,
    known_on as known_from,
    known_to,
    known_to = {{ open_end() }} as is_current,
    is_last
from {{ rows }}
where operation = 'upsert'
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endmacro %}
