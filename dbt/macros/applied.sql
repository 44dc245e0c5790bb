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

{#
    Query of the accounts and days whose transactions are others than when the model was made last: the days of all rows ever
    delivered of the transactions touched since, the days of what reverses one of them, and the days between the two as-of dates.
#}
{% macro touched_account_days(state, raw, transactions) -%}
    with

    touched as (
        {{ touched_keys(state, raw, ['source_system', 'transaction_id']) }}
    )

    select
        {{ public_id('source_system', 'account_id') }} as account_id,
        {{ bank_date('posted_at') }} as booked_on
    from {{ raw }}
    where
        (source_system, transaction_id) in (select source_system, transaction_id from touched)
        and account_id is not null
        and posted_at is not null
    union all
    select
        account_id,
        booked_on
    from {{ transactions }}
    where
        (
            booked_on > least(date '{{ state.as_of }}', {{ as_of() }})
            and booked_on <= greatest(date '{{ state.as_of }}', {{ as_of() }})
        )
        or reverses_transaction_id in (select {{ public_id('source_system', 'transaction_id') }} from touched)
{%- endmacro %}

{#
    Before the insert of a model by account and month or by account and day: keeps what was touched in the connection's own table
    `touched`, and takes the model's rows of it out. A running total is made again for all days from the first one touched.

    column : the model's date, a month's first day or a day
    onward : whether all later rows of a touched account are made again, too
#}
{% macro forget_touched_accounts(model_name, raw, transactions, column, onward=false) -%}
    {%- if execute and is_incremental() -%}
        {%- set state = applied_state(model_name, raw) -%}
        {%- if state is none -%}
        delete from {{ this }}
        {%- else -%}
        create or replace temporary table touched as
        select
            account_id,
            {{ 'min(booked_on)' if onward else month_start('booked_on') }} as since_on
        from ({{ touched_account_days(state, raw, transactions) }}) as days
        group by account_id{{ ', ' ~ month_start('booked_on') if not onward }};
        delete from {{ this }}
        using touched
        where {{ this.identifier }}.account_id = touched.account_id and {{ this.identifier }}.{{ column }} {{ '>=' if onward else '=' }} touched.since_on
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# When a build starts: models are made side by side, and two cannot create the same table. #}
{% macro create_applied() -%}
    create schema if not exists {{ target.database }}.bookkeeping;
    create table if not exists {{ target.database }}.bookkeeping.model_applied (
        model varchar, batch bigint, as_of date, raw_rows bigint, settings varchar
    )
{%- endmacro %}

{# After the insert, in the same transaction: writes how far the model has come. #}
{% macro mark_applied(model_name, raw) -%}
    delete from {{ applied_table() }} where model = '{{ model_name }}';
    insert into {{ applied_table() }}
    select '{{ model_name }}', coalesce(max(batch), 0), {{ as_of() }}, count(*), '{{ applied_settings() }}'
    from {{ raw }};
{%- endmacro %}
