{# A sum or count over rows that may not be there: 0 where the bank tells of such rows, absent where it does not. #}
{% macro told(value, condition) -%}
    case when {{ condition }} then coalesce({{ value }}, 0) end
{%- endmacro %}

{# The quotient of two amounts; absent where there is nothing to compare with. #}
{% macro ratio(value, whole) -%}
    case when {{ whole }} > 0 then cast({{ value }} as double) / cast({{ whole }} as double) end
{%- endmacro %}
