{#
    All rules about the columns of a model in one query: a hundred single tests would cost half a minute of a run.
    One row per broken rule: its name, how many rows break it, and the key of one of them.

    not_null        : columns that must not be null
    unique          : lists of columns, each list a key; the first one also names the example
    accepted_values : column -> values (null is accepted)
    ranges          : column -> {minimum, maximum}, both included (null is accepted)
    references      : list of {columns, to, fields}; a null column refers to nothing
    holds           : name -> condition over the columns of a row (null is accepted)
#}
{% test columns_hold(model, not_null=[], unique=[], accepted_values={}, ranges={}, references=[], holds={}) %}
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
{%- set key = unique[0] if unique else (not_null[:1] or ["''"]) -%}

with

counts as (
    select
        {%- for rule in rules %}
        count(*) filter (where {{ rule[1] }}) as failing_{{ loop.index }},
        min({{ readable_key(key) }}) filter (where {{ rule[1] }}) as example_{{ loop.index }},
        {%- endfor %}
        count(*) as checked_count
    from {{ model }}
),

findings as (
    {%- for rule in rules %}
    select '{{ rule[0] | replace("'", "''") }}' as rule, failing_{{ loop.index }} as failing_count, example_{{ loop.index }} as example_key
    from counts
    union all
    {%- endfor %}
    {%- for columns in unique %}
    select 'key ({{ columns | join(", ") }}) is not unique' as rule, count(*) as failing_count, min(example_key) as example_key
    from (
        select {{ readable_key(columns) }} as example_key
        from {{ model }}
        group by {{ columns | join(', ') }}
        having count(*) > 1
    ) as repeated
    union all
    {%- endfor %}
    {%- for reference in references %}
    select
        '{{ reference["columns"] | join(", ") }} is not in {{ reference.to.identifier }}' as rule,
        count(*) as failing_count,
        min({{ readable_key(reference["columns"], 'child') }}) as example_key
    from {{ model }} as child
    where
        {%- for column in reference["columns"] %}
        child.{{ column }} is not null and
        {%- endfor %}
        not exists (
            select 1
            from {{ reference.to }} as parent
            where
                {%- for column in reference["columns"] %}
                {{ 'and ' if not loop.first }}parent.{{ reference.fields[loop.index0] }} = child.{{ column }}
                {%- endfor %}
        )
    union all
    {%- endfor %}
    select 'nothing to check' as rule, 0 as failing_count, null as example_key
)

select
    rule,
    failing_count,
    example_key
from findings
where failing_count > 0
{% endtest %}
