{# The rows of a model that break its rules, each as one text, at most `limit` of each rule: for `mainbank quality failures`. #}
{% macro rows_that_break(model, rules, unique, references, limit) -%}
    {%- set conditions = [] -%}
    {%- for key in unique -%}
        {%- do conditions.append((
            'key (' ~ key | join(', ') ~ ') is not unique',
            readable_key(key, 'checked') ~ ' in (select ' ~ readable_key(key) ~ ' from ' ~ model ~ ' group by all having count(*) > 1)'
        )) -%}
    {%- endfor -%}
    {%- for rule, is_broken in rules -%}
        {%- do conditions.append((rule, is_broken)) -%}
    {%- endfor -%}
    {%- for reference in references -%}
        {%- do conditions.append((
            reference['columns'] | join(', ') ~ ' is not in ' ~ reference.to.identifier,
            all_stated('checked', reference['columns']) ~ ' and not exists (select 1 from ' ~ reference.to ~ ' as parent where '
            ~ same_key('parent', reference.fields, 'checked', reference['columns']) ~ ')'
        )) -%}
    {%- endfor -%}
    {%- for rule, is_broken in conditions %}
    select
        rule,
        failing_row
    from (
        select
            '{{ rule | replace("'", "''") }}' as rule,
            {{ row_as_json('checked') }} as failing_row
        from {{ model }} as checked
        where {{ is_broken }}
        order by {{ readable_key(unique[0], 'checked') }}
        limit {{ limit }}
    ) as listed_{{ loop.index }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
