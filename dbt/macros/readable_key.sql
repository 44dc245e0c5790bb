{# The key of a row as one text, for messages. #}
{% macro readable_key(columns, alias=none) -%}
    concat_ws(' / ',
        {%- for column in columns %} coalesce(cast({{ alias ~ '.' if alias }}{{ column }} as varchar), 'null'){{ ',' if not loop.last }}{% endfor -%}
    )
{%- endmacro %}
