{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ forget_unless_unchanged(this.identifier) }}", post_hook="{{ mark_known(this.identifier) }}") }}
{% if is_known_unchanged(this.identifier) %}
    select * from {{ this }} where 1 = 0  -- noqa: AM04,LT14
{% else %}
    with

    features as (
        select
            *,
            customer_transactions_1m > 0 as is_active,
            row_number() over (partition by person_id order by month_start_on) as month_position
        from {{ ref('mining_features_customer_month') }}
    ),

    -- active months in a row share the position of the last quiet month before them
    runs as (
        select
            *,
            case when is_active is not null then month_position end - coalesce(
                max(case when not is_active then month_position end) over (
                    partition by person_id order by month_start_on rows unbounded preceding
                ), 0
            ) as active_run_months
        from features
    ),

    holdings as (
        select
            person_id,
            month_start_on,
            deposit_end
        from {{ ref('int_person_month_holding') }}
    ),

    matured as (
        select
            accounts.person_id,
            accounts.month_start_on,
            count(distinct accounts.account_id) as matured_count,
            count(distinct case when renewals.account_id is not null then accounts.account_id end) as renewed_count
        from {{ ref('int_account_month_known') }} as accounts
        left join {{ ref('int_account_month_known') }} as renewals
            on
                accounts.person_id = renewals.person_id
                and accounts.month_start_on = renewals.month_start_on
                and accounts.account_id <> renewals.account_id
                and renewals.is_aum
                and renewals.opened_on between accounts.closed_on
                and {{ add_days('accounts.closed_on', 'cast(' ~ setting('rebooking_days') ~ ' as integer)') }}
        where
            accounts.is_aum
            and accounts.closure_reason in ('matured', 'rebooked')
            and accounts.closed_on > {{ add_days('accounts.month_end_on', -365) }}
        group by accounts.person_id, accounts.month_start_on
    ),

    launches as (
        select
            product_code,
            launched_on,
            known_from,
            known_to
        from {{ ref('stg_products') }}
        where launched_on is not null
    ),

    months as (
        select distinct
            month_start_on,
            month_end_on
        from {{ ref('int_account_month_known') }}
    ),

    launched as (
        select
            months.month_start_on,
            launches.product_code,
            launches.launched_on
        from months
        inner join launches
            on
                months.month_end_on >= launches.known_from
                and months.month_end_on < launches.known_to
                and months.month_end_on >= launches.launched_on
                and launches.launched_on > {{ add_days('months.month_end_on', -365) }}
    ),

    launch_counts as (
        select
            month_start_on,
            count(distinct product_code) as launched_count
        from launched
        group by month_start_on
    ),

    -- a product counts once, however many accounts of it were opened
    taken as (
        select distinct
            accounts.person_id,
            accounts.month_start_on,
            accounts.product_code
        from {{ ref('int_account_month_known') }} as accounts
        inner join launched
            on
                accounts.month_start_on = launched.month_start_on
                and accounts.product_code = launched.product_code
                and accounts.opened_on >= launched.launched_on
    ),

    taken_counts as (
        select
            person_id,
            month_start_on,
            count(*) as taken_count
        from taken
        group by person_id, month_start_on
    )

    select
        runs.person_id,
        runs.month_start_on,
    {{ ratio(
        'count(*) filter (where runs.is_active) over year',
        'count(runs.is_active) over year'
    ) }} as active_months_12m_ratio,
        cast(max(runs.active_run_months) over year as integer) as longest_activity_months,
        runs.tenure_months,
        cast(coalesce(matured.matured_count, 0) as integer) as matured_12m_count,
        {{ ratio('matured.renewed_count', 'matured.matured_count') }} as renewal_12m_ratio,
        runs.rate_gap,
        runs.external_outflow_3m_ratio,
        runs.wallet_outflow_3m,
        runs.salary_months_3m,
        runs.complaints_12m,
        runs.complaint_longest_wait_days_6m,
    {{ ratio(
        '(runs.aum_average - first_value(runs.aum_average) over year)',
        'first_value(runs.aum_average) over year'
    ) }} as aum_growth_12m_ratio,
        cast(runs.products_held - first_value(runs.products_held) over year as integer) as products_growth_12m,
        case
            when runs.tenure_months >= {{ setting('take_up_tenure_months') }}
                then {{ ratio('coalesce(taken_counts.taken_count, 0)', 'launch_counts.launched_count') }}
        end as new_product_take_up_ratio,
        cast(holdings.deposit_end as decimal(18, 2)) as deposit_end,
        cast(runs.aum_end - holdings.deposit_end as decimal(18, 2)) as investment_end,
        runs.lum_end,
        cast(null as double) as satisfaction_gap
    from runs
    inner join holdings on runs.person_id = holdings.person_id and runs.month_start_on = holdings.month_start_on
    left join matured on runs.person_id = matured.person_id and runs.month_start_on = matured.month_start_on
    left join launch_counts on runs.month_start_on = launch_counts.month_start_on
    left join taken_counts on runs.person_id = taken_counts.person_id and runs.month_start_on = taken_counts.month_start_on
    window year as (partition by runs.person_id order by runs.month_start_on rows between 11 preceding and current row)
{% endif %}
