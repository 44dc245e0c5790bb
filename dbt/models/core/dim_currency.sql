with

rates as (
    select
        currency,
        rate_on,
        middle_rate
    from {{ ref('stg_fx_rates') }}
    where is_current and rate_on <= {{ as_of() }}
    qualify row_number() over (partition by currency order by rate_on desc, source_system asc) = 1
),

used as (
    select distinct currency
    from {{ ref('dim_account') }}
    where currency is not null
),

named as (
    select currency
    from used
    union
    select currency
    from {{ ref('dim_product') }}
    union
    select currency
    from rates
    union
    select '{{ required_setting('base_currency', 'CZK') }}' as currency
),

judged as (
    select
        named.currency,
        named.currency = '{{ required_setting('base_currency', 'CZK') }}' as is_base,
        used.currency is not null as is_in_use,
        rates.middle_rate,
        rates.rate_on
    from named
    left join used on named.currency = used.currency
    left join rates on named.currency = rates.currency
    where named.currency is not null
)

select
    judged.currency,
    names.name_en as name,
    names.name_zh,
    names.decimal_count,
    judged.is_base,
    judged.is_in_use,
    cast(case when judged.is_base then 1 else judged.middle_rate end as decimal(18, 8)) as base_per_unit,
    case when not judged.is_base then judged.rate_on end as base_per_unit_on,
    case
        when judged.is_base then 'base currency'
        when judged.middle_rate is not null then 'middle rate'
        else 'absent: no rate delivered'
    end as base_per_unit_basis
from judged
left join {{ ref('currencies') }} as names on judged.currency = names.currency
