{#
    How far an incremental model has come, in `bookkeeping.model_applied`: one row per model, written in the transaction that
    wrote the model itself. A row counts only while what it was made from still stands: the same settings, and exactly the raw
    rows it had seen. Otherwise the model is made anew, so that a registration that took rows back cannot leave them behind.
#}

{% macro applied_table() -%}
    {{ this.database }}.bookkeeping.model_applied
{%- endmacro %}

{% macro applied_settings() -%}
    {{ required_setting('base_currency', 'CZK') }}, {{ required_setting('time_zone', 'Europe/Prague') }}
{%- endmacro %}

{# The state of a model: a dictionary with `batch` and `as_of`, or none if everything is to be made. #}
{% macro applied_state(model_name, raw) -%}
    {%- if not execute or not is_incremental() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if adapter.get_relation(database=this.database, schema='bookkeeping', identifier='model_applied') is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set found = run_query(
        "select batch, as_of from " ~ applied_table() ~ " as applied where model = '" ~ model_name ~ "'"
        ~ " and settings = '" ~ applied_settings() ~ "'"
        ~ " and raw_rows = (select count(*) from " ~ raw ~ " as seen where seen.batch <= applied.batch)"
    ) -%}
    {%- if found.rows | length != 1 -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return({'batch': found.rows[0][0], 'as_of': found.rows[0][1]}) }}
{%- endmacro %}

{# Query of the keys of raw rows that came since, or that became known (or unknown) between the two as-of dates. #}
{% macro touched_keys(state, raw, keys) -%}
    select {{ keys | join(', ') }}
    from {{ raw }}
    where
        batch > {{ state.batch }}
        or (
            known_on > least(date '{{ state.as_of }}', {{ as_of() }})
            and known_on <= greatest(date '{{ state.as_of }}', {{ as_of() }})
        )
{%- endmacro %}

{# Before the insert: takes out what is made again, so that keys whose last version is a delete vanish. #}
{% macro forget_touched(model_name, raw, keys, public_key) -%}
    {%- if execute and is_incremental() -%}
        {%- set state = applied_state(model_name, raw) -%}
        delete from {{ this }}
        {%- if state is not none %}
        where {{ public_key }} in (
            select {{ public_id(keys[0], keys[1]) }}
            from ({{ touched_keys(state, raw, keys) }}) as touched
        )
        {%- endif %}
    {%- endif -%}
{%- endmacro %}

{# After the insert, in the same transaction: writes how far the model has come. #}
{% macro mark_applied(model_name, raw) -%}
    create schema if not exists {{ this.database }}.bookkeeping;
    create table if not exists {{ applied_table() }} (
        model varchar, batch bigint, as_of date, raw_rows bigint, settings varchar
    );
    delete from {{ applied_table() }} where model = '{{ model_name }}';
    insert into {{ applied_table() }}
    select '{{ model_name }}', coalesce(max(batch), 0), {{ as_of() }}, count(*), '{{ applied_settings() }}'
    from {{ raw }};
{%- endmacro %}
