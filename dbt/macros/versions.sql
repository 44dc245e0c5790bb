{#
    The versions of a delivered table as known at the as-of date: half-open intervals of known time.

    Rows are ordered by (known_on, source_row, row_hash), never by arrival. Of the rows known on one day the last one counts;
    a row delivered again unchanged opens no version; a delete ends the version before it.

    relation : the raw table
    keys     : its key columns
    columns  : its other columns, as SQL (`expression as name`)
    touched  : optional query of keys; only their versions are made
#}
{% macro versions(relation, keys, columns, touched=none) %}
with

delivered as (
    select *
    from {{ relation }}
    where
        known_on <= {{ as_of() }}
        {%- if touched is not none %}
        and ({{ keys | join(', ') }}) in ({{ touched }})
        {%- endif %}
),

last_of_day as (
    select *
    from delivered
    qualify
        row_number() over (
            partition by {{ keys | join(', ') }}, known_on
            order by source_row desc, row_hash desc, operation asc, is_known_on_assumed asc
        ) = 1
),

compared as (
    select
        *,
        lag(row_hash) over (partition by {{ keys | join(', ') }} order by known_on) as previous_hash,
        lag(operation) over (partition by {{ keys | join(', ') }} order by known_on) as previous_operation
    from last_of_day
),

changes as (
    select
        *,
        coalesce(
            lead(known_on) over (partition by {{ keys | join(', ') }} order by known_on),
            {{ open_end() }}
        ) as known_to
    from compared
    where
        previous_hash is null
        or operation <> previous_operation
        or (operation = 'upsert' and row_hash <> previous_hash)
)

select
    {%- for key in keys if key == 'source_system' %}
    source_system,
    {%- endfor %}
    {%- for column in columns %}
    {{ column }},
    {%- endfor %}
    is_known_on_assumed,
    known_on as known_from,
    known_to,
    known_to = {{ open_end() }} as is_current
from changes
where operation = 'upsert'
{% endmacro %}
