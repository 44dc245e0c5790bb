{#
    After a seed was loaded: the bank's own rows take the place of the shipped ones. `bookkeeping.override_<seed>` has them, validated, with the seed's
    columns in its order; it is written when a build begins and absent where the bank keeps what is shipped.
#}
{% macro replace_by_override(seed) -%}
    {%- set override = 'override_' ~ seed.identifier -%}
    {%- if execute and adapter.get_relation(database=seed.database, schema='bookkeeping', identifier=override) is not none %}
    delete from {{ seed }};
    insert into {{ seed }}
    select * from {{ seed.database }}.bookkeeping.{{ override }};
    {%- endif -%}
{%- endmacro %}
