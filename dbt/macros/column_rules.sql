{# Pairs of a rule in words and the condition under which a row breaks it. #}
{% macro column_rules(not_null, accepted_values, ranges, holds) -%}
    {%- set rules = [] -%}
    {%- for column in not_null -%}
        {%- do rules.append((column ~ ' is null', column ~ ' is null')) -%}
    {%- endfor -%}
    {%- for column, values in accepted_values.items() -%}
        {%- do rules.append((column ~ ' has a value outside the list', column ~ " not in ('" ~ values | join("', '") ~ "')")) -%}
    {%- endfor -%}
    {%- for column, range in ranges.items() -%}
        {%- if 'minimum' in range -%}
            {%- do rules.append((column ~ ' is below ' ~ range.minimum, column ~ ' < ' ~ range.minimum)) -%}
        {%- endif -%}
        {%- if 'maximum' in range -%}
            {%- do rules.append((column ~ ' is above ' ~ range.maximum, column ~ ' > ' ~ range.maximum)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name, condition in holds.items() -%}
        {%- do rules.append((name ~ ' does not hold', 'not (' ~ condition ~ ')')) -%}
    {%- endfor -%}
    {{ return(rules) }}
{%- endmacro %}
