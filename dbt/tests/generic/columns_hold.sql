-- sqlfluff:exclude_rules:LT02,RF04,ST06
{#
    All rules about the columns of a model in one query: a hundred single tests would cost half a minute of a run.
    One row per broken rule: its name, how many rows break it, and the key of one of them.

    not_null        : columns that must not be null
    unique          : lists of columns, each list a key; the first one also names the example
    accepted_values : column -> values (null is accepted)
    ranges          : column -> {minimum, maximum}, both included (null is accepted)
    references      : list of {columns, to, fields}; a null column refers to nothing
    holds           : name -> condition over the columns of a row (null is accepted)

    With the variable `failing_rows`, a number, it lists up to so many rows of each broken rule instead.
#}
{% test columns_hold(model, unique, not_null=[], accepted_values={}, ranges={}, references=[], holds={}) %}
    {%- set rules = column_rules(not_null, accepted_values, ranges, holds) %}
    {%- if var('failing_rows', 0) %}
    {{ rows_that_break(model, rules, unique, references, var('failing_rows')) }}
    {%- else %}

    with

    counts as (
        select
            {% for rule, is_broken in rules -%}
                count(*) filter (where {{ is_broken }}) as failing_{{ loop.index }},
                min({{ readable_key(unique[0]) }}) filter (where {{ is_broken }}) as example_{{ loop.index }},
            {% endfor -%}
            count(*) as checked_count
        from {{ model }}
    ),

    findings as (
        {% for key in unique -%}
            {{ 'union all' if not loop.first }}
            select
                'key ({{ key | join(", ") }}) is not unique' as rule,
                count(*) as failing_count,
                min(example_key) as example_key
            from (
                select {{ readable_key(key) }} as example_key
                from {{ model }}
                group by {{ key | join(', ') }}
                having count(*) > 1
            ) as repeated
        {% endfor %}
        {% for rule, is_broken in rules -%}
            union all
            select
                '{{ rule | replace("'", "''") }}' as rule,
                failing_{{ loop.index }} as failing_count,
                example_{{ loop.index }} as example_key
            from counts
        {% endfor %}
        {% for reference in references -%}
            union all
            select
                '{{ reference["columns"] | join(", ") }} is not in {{ reference.to.identifier }}' as rule,
                count(*) as failing_count,
                min({{ readable_key(reference["columns"], 'child') }}) as example_key
            from {{ model }} as child
            where
                {{ all_stated('child', reference["columns"]) }}
                and not exists (
                    select 1
                    from {{ reference.to }} as parent
                    where {{ same_key('parent', reference.fields, 'child', reference["columns"]) }}
                )
        {% endfor %}
    )

    select
        rule,
        failing_count,
        example_key
    from findings
    where failing_count > 0
    {%- endif %}
{% endtest %}
