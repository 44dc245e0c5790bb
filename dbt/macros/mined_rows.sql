{#
    The rows a miner wrote, in the contract's types. A table that no miner has written yet has no rows: a bank may run without
    a miner. A table that is there must have every column.

    table   : name in schema `mined`
    columns : mapping of column to type
#}
{% macro mined_rows(table, columns) -%}
    {%- set relation = source('mined', table) -%}
    {%- set is_written = not execute or adapter.get_relation(relation.database, relation.schema, relation.identifier) is not none -%}
    select
        {%- for column, type in columns.items() %}
        {% if is_written and type == 'double' %}{{ absent_if_nan(column) }}{% elif is_written %}cast({{ column }} as {{ type }}){% else %}cast(null as {{ type }}){% endif %} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {% if is_written -%}
    from {{ relation }}
    {%- else -%}
    where 1 = 0
    {%- endif -%}
{%- endmacro %}
