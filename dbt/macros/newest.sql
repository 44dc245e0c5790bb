{# The newest statement of an attribute among the ranked records of a group. #}
{% macro newest(attribute) -%}
    max_by({{ attribute }}, recency) filter (where {{ attribute }} is not null) as {{ attribute }}
{%- endmacro %}
