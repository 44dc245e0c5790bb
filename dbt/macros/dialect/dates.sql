{# Where engines differ about dates. Everything else in the project is plain SQL. #}

{# The bank's calendar day of a UTC timestamp. #}
{% macro bank_date(posted_at) -%}
    cast(({{ posted_at }} at time zone 'UTC') at time zone '{{ required_setting('time_zone', 'Europe/Prague') }}' as date)
{%- endmacro %}

{% macro month_start(day) -%}
    cast(date_trunc('month', {{ day }}) as date)
{%- endmacro %}

{% macro month_end(day) -%}
    last_day({{ day }})
{%- endmacro %}

{# Months since the year 0: the difference of two is whole months between them. #}
{% macro month_number(day) -%}
    cast(extract(year from {{ day }}) * 12 + extract(month from {{ day }}) as integer)
{%- endmacro %}

{# 1 is Monday, 7 is Sunday. #}
{% macro iso_day_of_week(day) -%}
    cast(extract(isodow from {{ day }}) as integer)
{%- endmacro %}

{# Whole days from one date to a later one. #}
{% macro days_between(first_day, last_day) -%}
    cast({{ last_day }} - {{ first_day }} as integer)
{%- endmacro %}

{% macro add_days(day, days) -%}
    ({{ day }} + cast({{ days }} as integer))
{%- endmacro %}

{# One row per day, both ends included; column `date_on`. #}
{% macro date_spine(first_day, last_day) -%}
    select cast(generated.day as date) as date_on
    from generate_series(cast({{ first_day }} as timestamp), cast({{ last_day }} as timestamp), interval 1 day) as generated (day)
{%- endmacro %}

{# Completed years of life on a day. #}
{% macro completed_years(born_on, day) -%}
    cast(date_sub('year', {{ born_on }}, {{ day }}) as integer)
{%- endmacro %}

{# Whole hours from one UTC timestamp to another. #}
{% macro hours_between(first_time, last_time) -%}
    cast(floor(extract(epoch from ({{ last_time }} - cast({{ first_time }} as timestamp))) / 3600) as bigint)
{%- endmacro %}
