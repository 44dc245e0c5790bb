{#
    Tables by complete month as known at its end are never restated: while nothing came that was known by the end of the last complete month, and the same
    records are the same persons, they stand as they are. `int_known_state` says in one text what they are made from; each notes in
    `bookkeeping.model_applied` what it was made from last, and is made whole when the two differ.
#}
{% macro is_known_unchanged(model_name) -%}
    {%- set known_state = ref('int_known_state') -%}
    {%- if not execute or not is_incremental() -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set found = run_query(
        "select count(*) from " ~ applied_table() ~ " where model = '" ~ model_name ~ "' and settings = (select state from " ~ known_state ~ ")"
    ) -%}
    {{ return(found.rows[0][0] == 1) }}
{%- endmacro %}

{# Before the insert: empties what is made again. #}
{% macro forget_unless_unchanged(model_name) -%}
    {%- if execute and is_incremental() and not is_known_unchanged(model_name) -%}
        delete from {{ this }}
    {%- endif -%}
{%- endmacro %}

{# After the insert, in the same transaction. #}
{% macro mark_known(model_name) -%}
    delete from {{ applied_table() }} where model = '{{ model_name }}';
    insert into {{ applied_table() }}
    select '{{ model_name }}', 0, {{ as_of() }}, 0, state
    from {{ ref('int_known_state') }};
{%- endmacro %}
