{#
    What survives of an attribute that several records of a person state, and the system it is from: the most reliable system speaks, of one
    system the newest record. `recency` is unique within a group and far below a million.
#}
{% macro surviving(attribute) -%}
    {%- set order -%}
        cast(999 - believed.{{ attribute }}_precedence as bigint) * 1000000 + ranked.recency
    {%- endset -%}
    max_by(ranked.{{ attribute }}, {{ order }}) filter (where ranked.{{ attribute }} is not null) as {{ attribute }},
    max_by(ranked.source_system, {{ order }}) filter (where ranked.{{ attribute }} is not null) as {{ attribute }}_source
{%- endmacro %}
