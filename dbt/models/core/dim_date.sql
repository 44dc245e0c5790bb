with

known as (
    select min(booked_on) as date_on
    from {{ ref('int_account_day') }}
    union all
    select min(opened_on) as date_on
    from {{ ref('int_account') }}
),

bounds as (
    select
        cast(date_trunc('year', least(min(date_on), {{ as_of() }})) as date) as first_day,
        cast(date_trunc('year', {{ as_of() }}) as date) as last_year_start
    from known
),

days as (
    {{ date_spine(
        '(select coalesce(first_day, last_year_start) from bounds)',
        "make_date(cast(extract(year from " ~ as_of() ~ ") as integer), 12, 31)",
    ) | indent(4) }}
)

select
    date_on,
    cast(extract(year from date_on) as integer) as calendar_year,
    cast(extract(quarter from date_on) as integer) as calendar_quarter,
    cast(extract(month from date_on) as integer) as calendar_month,
    cast(extract(day from date_on) as integer) as day_of_month,
    {{ iso_day_of_week('date_on') }} as day_of_week,
    {{ month_start('date_on') }} as month_start_on,
    {{ month_end('date_on') }} as month_end_on,
    cast(extract(day from {{ month_end('date_on') }}) as integer) as days_in_month,
    {{ iso_day_of_week('date_on') }} >= 6 as is_weekend,
    date_on = {{ month_end('date_on') }} as is_month_end,
    date_on = {{ month_end('date_on') }} and extract(month from date_on) in (3, 6, 9, 12) as is_quarter_end,
    date_on = {{ month_end('date_on') }} and extract(month from date_on) = 12 as is_year_end,
    date_on <= {{ as_of() }} as is_known
from days
