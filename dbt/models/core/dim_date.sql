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
),

-- a year that no notice covers is not guessed at: its festivals and the weekends worked for them are not known
notices as (
    select distinct notice_year
    from {{ ref('bank_holidays') }}
    where time_zone = '{{ required_setting('time_zone', 'Europe/Prague') }}'
),

judged as (
    select
        days.date_on,
        holidays.festival_en,
        holidays.festival_zh,
        coalesce(holidays.is_workday, {{ iso_day_of_week('days.date_on') }} < 6) as is_workday_if_covered,
        notices.notice_year is not null as is_covered
    from days
    left join notices on extract(year from days.date_on) = notices.notice_year
    left join {{ ref('bank_holidays') }} as holidays
        on
            days.date_on = holidays.date_on
            and holidays.time_zone = '{{ required_setting('time_zone', 'Europe/Prague') }}'
),

calendar as (
    select
        *,
        case when is_covered then is_workday_if_covered end as is_workday
    from judged
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
    is_workday,
    case when is_workday_if_covered then cast(null as varchar) else festival_en end as festival_en,
    case when is_workday_if_covered then cast(null as varchar) else festival_zh end as festival_zh,
    case
        when is_covered then is_workday and {{ iso_day_of_week('date_on') }} >= 6
    end as is_makeup_workday,
    case
        when is_covered
            then is_workday and date_on = max(date_on) filter (where is_workday) over (partition by {{ month_start('date_on') }})
    end as is_last_workday_of_month,
    case when is_covered then 'public notice' else 'absent: no notice for this year and time zone' end as workday_basis,
    date_on <= {{ as_of() }} as is_known
from calendar
