{#
    The rows a miner wrote, as the columns that the model's own contract names. A table that no miner has written yet has no rows: a bank may run
    without a miner. A table that is there must have every column.

    table   : name in schema `mined`
    columns : mapping of column to type; those of the model's contract by default
#}
{% macro mined_rows(table, columns=none) -%}
    {{ mined_columns(table, columns, {}) }}
{%- endmacro %}

{#
    The rows of all definitions of leaving, one below the other, with column `definition`.

    part    : last part of the tables' names, `churn_<definition>_<part>`
    columns : as above; column `definition` is added
#}
{% macro churn_rows(part, columns=none) -%}
    {%- for definition in ['closure_or_drop', 'dormancy'] %}
        {{- mined_columns('churn_' ~ definition ~ '_' ~ part, columns, {'definition': definition}) }}
        {%- if not loop.last %}
union all
{% endif %}
    {%- endfor %}
{%- endmacro %}

{% macro mined_columns(table, columns, constants) -%}
    {%- set relation = source('mined', table) -%}
    {%- set is_written = not execute or adapter.get_relation(relation.database, relation.schema, relation.identifier) is not none -%}
    {%- set types = dict(constants) -%}
    {%- if columns is none -%}
        {%- for column in model.columns.values() %}{% do types.update({column.name: column.data_type}) %}{% endfor -%}
    {%- else -%}
        {%- do types.update(columns) -%}
    {%- endif -%}
select
    {%- for column, type in types.items() %}
    {% if column in constants %}'{{ constants[column] }}'
    {%- elif not is_written %}cast(null as {{ type }})
    {%- elif type == 'double' %}{{ absent_if_nan(column) }}
    {%- else %}cast({{ column }} as {{ type }}){% endif %} as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
{% if is_written -%}
from {{ relation }}
{%- else -%}
where 1 = 0
{%- endif -%}
{%- endmacro %}
