{# Keys of several columns, as SQL. #}

{# The key of a row as one text, for messages. #}
{% macro readable_key(columns, alias=none) -%}
    concat_ws(' / ',
        {%- for column in columns %} coalesce(cast({{ alias ~ '.' if alias }}{{ column }} as varchar), 'null'){{ ',' if not loop.last }}{% endfor -%}
    )
{%- endmacro %}

{% macro all_stated(alias, columns) -%}
    {%- for column in columns -%}
        {{ alias }}.{{ column }} is not null{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{% macro same_key(parent, fields, child, columns) -%}
    {%- for column in columns -%}
        {{ parent }}.{{ fields[loop.index0] }} = {{ child }}.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
