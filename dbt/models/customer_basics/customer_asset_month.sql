with

-- what came to and went from the assets in the days after each month's end; a month whose days are not all known has no answer
afterwards as (
    select
        accounts.person_id,
        {{ month_start(add_days(month_start('account_days.booked_on'), -1)) }} as month_start_on,
        sum({{ in_base('account_days.net_amount', 'accounts.currency') }}) as net_base
    from {{ ref('int_account_day') }} as account_days
    inner join {{ ref('dim_account') }} as accounts on account_days.account_id = accounts.account_id
    where
        accounts.is_aum
        and accounts.person_id is not null
        and extract(day from account_days.booked_on) <= {{ setting('window_dressing_days') }}
    group by accounts.person_id, {{ month_start(add_days(month_start('account_days.booked_on'), -1)) }}
),

months as (
    select
        facts.*,
        facts.aum_period_end_base - facts.aum_average_base as excess,
        not facts.is_partial
        and {{ add_days(month_end('facts.month_start_on'), setting('window_dressing_days')) }} <= {{ as_of() }} as tells_afterwards,
        coalesce(afterwards.net_base, 0) as net_afterwards
    from {{ ref('fct_customer_month') }} as facts
    left join afterwards
        on
            facts.person_id = afterwards.person_id
            and facts.month_start_on = afterwards.month_start_on
),

dressed as (
    select
        *,
        case when excess > 0 and tells_afterwards then least(excess, greatest(-net_afterwards, 0)) end as gone,
        excess >= {{ setting('window_dressing_minimum') }}
        and excess >= {{ setting('window_dressing_ratio') }} * aum_average_base as is_excessive
    from months
)

select
    person_id,
    month_start_on,
    aum_average_base,
    aum_period_end_base,
    lum_average_base,
    lum_period_end_base,
    {{ ratio('excess', 'aum_average_base') }} as window_dressing_ratio,
    cast(greatest(excess, 0) as decimal(18, 2)) as excess_base,
    cast(gone as decimal(18, 2)) as excess_gone_base,
    {{ ratio('gone', 'excess') }} as excess_gone_ratio,
    case
        when is_partial then null
        when not is_excessive then false
        else gone >= {{ setting('window_dressing_gone_ratio') }} * excess
    end as is_window_dressed,
    is_partial
from dressed
