{# The sum of an amount over the rows of a group that meet a condition: absent if one of them is absent, 0 if there is none. #}
{% macro complete_sum(amount, condition) -%}
    case
        when count(*) filter (where ({{ condition }}) and {{ amount }} is null) = 0
            then coalesce(sum({{ amount }}) filter (where {{ condition }}), 0)
    end
{%- endmacro %}
