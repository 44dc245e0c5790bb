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

terminated as (
    select
        trends.*,
        bounds.development_tenure_months,
        bounds.development_products,
        trends.aum_before_3m >= 3 * bounds.dormant_aum
        and trends.aum_3m < (1 - bounds.trend_aum_ratio) * trends.aum_before_3m as has_falling_assets,
        trends.aum_before_3m >= 3 * bounds.dormant_aum
        and trends.aum_3m > (1 + bounds.trend_aum_ratio) * trends.aum_before_3m as has_rising_assets,
        trends.activity_before_3m >= bounds.activity_minimum
        and trends.activity_3m <= (1 - bounds.decline_activity_ratio) * trends.activity_before_3m as has_falling_activity,
        trends.activity_before_3m >= bounds.activity_minimum
        and trends.activity_3m >= (1 + bounds.growth_activity_ratio) * trends.activity_before_3m as has_rising_activity,
        trends.has_had_account and (
            trends.account_count = 0
            or coalesce(trends.silent_days >= bounds.dormant_days and trends.aum_average < bounds.dormant_aum, false)
        ) as is_terminated
    from {{ ref('int_person_month_trend') }} as trends
    inner join bounds on trends.month_start_on = bounds.month_start_on
),

returned as (
    select
        *,
        coalesce(lag(is_terminated) over (partition by person_id order by month_number), false) and not is_terminated as is_won_back
    from terminated
),

-- who comes back begins anew
tenures as (
    select
        *,
        month_number - greatest(
            first_account_number,
            coalesce(max(case when is_won_back then month_number end) over (
                partition by person_id order by month_number rows unbounded preceding
            ), first_account_number)
        ) as tenure_months
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
    aum_3m,
    aum_before_3m,
    activity_3m,
    activity_before_3m,
    case
        when is_terminated then 'termination'
        when not has_had_account then 'potential'
        when has_falling_assets or has_falling_activity then 'decline'
        when tenure_months < development_tenure_months and product_count < development_products then 'development'
        when has_rising_assets or has_rising_activity then 'growth'
        else 'maturity'
    end as stage
from tenures
