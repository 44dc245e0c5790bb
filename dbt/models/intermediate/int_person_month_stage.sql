{#
    Stages of the lifecycle. A quarter of whole months stands for the 90 days of the reference. Whether the bank tells who initiated a transaction decides
    whether silence and activity speak; where it does not, only assets and accounts do.
#}
with

bounds as (
    select
        months.date_on as month_start_on,
    {%- for bound in [
        'dormant_days', 'dormant_aum', 'development_tenure_months', 'development_products',
        'trend_aum_ratio', 'growth_activity_ratio', 'decline_activity_ratio', 'activity_minimum',
    ] %}
        max(bounds.value) filter (where bounds.bound = '{{ bound }}') as {{ bound }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('dim_date') }} as months
    inner join {{ ref('lifecycle_bounds') }} as bounds
        on
            months.month_end_on >= bounds.valid_from
            and months.month_end_on < bounds.valid_to
    where months.day_of_month = 1
    group by months.date_on
),

initiators as (
    select coalesce(bool_or(initiated_by is not null), false) as tells_initiator
    from {{ ref('fct_transaction') }}
),

acts as (
    select
        accounts.person_id,
        {{ month_start('account_days.booked_on') }} as month_start_on,
        max(account_days.booked_on) as last_on
    from {{ ref('int_account_day') }} as account_days
    inner join {{ ref('dim_account') }} as accounts on account_days.account_id = accounts.account_id
    where account_days.customer_initiated_count > 0
    group by accounts.person_id, {{ month_start('account_days.booked_on') }}
),

history as (
    select
        months.*,
        bounds.dormant_days,
        bounds.dormant_aum,
        bounds.development_tenure_months,
        bounds.development_products,
        bounds.trend_aum_ratio,
        bounds.growth_activity_ratio,
        bounds.decline_activity_ratio,
        bounds.activity_minimum,
        initiators.tells_initiator,
        max(acts.last_on) over past as last_on,
        min(case when months.is_first_of_history then months.month_start_on end) over past as history_from,
        sum(months.aum_average) over recent as aum_3m,
        sum(months.aum_average) over earlier as aum_before_3m,
        count(months.aum_average) over recent as aum_months,
        count(months.aum_average) over earlier as aum_before_months,
        sum(months.customer_initiated_count) over recent as activity_3m,
        sum(months.customer_initiated_count) over earlier as activity_before_3m,
        count(*) over earlier as before_months
    from {{ ref('int_person_month') }} as months
    inner join bounds on months.month_start_on = bounds.month_start_on
    cross join initiators
    left join acts on months.person_id = acts.person_id and months.month_start_on = acts.month_start_on
    window
        past as (partition by months.person_id order by months.month_number rows unbounded preceding),
        recent as (partition by months.person_id order by months.month_number rows between 2 preceding and current row),
        earlier as (partition by months.person_id order by months.month_number rows between 5 preceding and 3 preceding)
),

terminated as (
    select
        *,
        {{ days_between('greatest(last_on, first_account_on, history_from)', 'month_end_on') }} as silent_days,
        has_had_account and (
            account_count = 0
            or (
                tells_initiator
                and {{ days_between('greatest(last_on, first_account_on, history_from)', 'month_end_on') }} >= dormant_days
                and coalesce(aum_average < dormant_aum, false)
            )
        ) as is_terminated
    from history
),

returned as (
    select
        *,
        coalesce(lag(is_terminated) over (partition by person_id order by month_number), false) and not is_terminated as is_won_back
    from terminated
),

trends as (
    select
        *,
        month_number - greatest(
            {{ month_number('first_account_on') }},
            coalesce(max(case when is_won_back then month_number end) over (
                partition by person_id order by month_number rows unbounded preceding
            ), 0)
        ) as tenure_months,
        aum_months = 3 and aum_before_months = 3 and aum_before_3m >= 3 * dormant_aum as tells_assets,
        tells_initiator and before_months = 3 and activity_before_3m >= activity_minimum as tells_activity
    from returned
)

select
    person_id,
    month_number,
    month_start_on,
    is_won_back,
    silent_days,
    tenure_months,
    product_count,
    case when tells_assets then aum_3m - aum_before_3m end as aum_change_3m,
    case when tells_assets then aum_before_3m end as aum_before_3m,
    case when tells_activity then activity_3m - activity_before_3m end as activity_change_3m,
    case when tells_activity then activity_before_3m end as activity_before_3m,
    case
        when is_terminated then 'termination'
        when not has_had_account then 'potential'
        when
            (tells_assets and aum_3m < (1 - trend_aum_ratio) * aum_before_3m)
            or (tells_activity and activity_3m <= (1 - decline_activity_ratio) * activity_before_3m)
            then 'decline'
        when tenure_months < development_tenure_months and product_count < development_products then 'development'
        when
            (tells_assets and aum_3m > (1 + trend_aum_ratio) * aum_before_3m)
            or (tells_activity and activity_3m >= (1 + growth_activity_ratio) * activity_before_3m)
            then 'growth'
        else 'maturity'
    end as stage
from trends
