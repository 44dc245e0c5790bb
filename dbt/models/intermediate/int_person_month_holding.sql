{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ forget_unless_unchanged(this.identifier) }}", post_hook="{{ mark_known(this.identifier) }}") }}
{% if is_known_unchanged(this.identifier) %}
    select * from {{ this }} where 1 = 0  -- noqa: AM04,LT14
{% else %}
    with

    products as (
        select distinct
            month_start_on,
            month_end_on,
            category,
            coalesce(term_days, 1) as tenor_days
        from {{ ref('int_account_month_known') }}
    ),

    rates as (
        select
            products.month_start_on,
            products.category,
            products.tenor_days,
            versions.rate
        from products
        inner join {{ ref('stg_market_rates') }} as versions
            on
                products.category = versions.category
                and products.month_end_on >= versions.rate_on
                and products.month_end_on >= versions.known_from
                and products.month_end_on < versions.known_to
        where versions.kind = 'competitor_best'
        qualify
            row_number() over (
                partition by products.month_start_on, products.category, products.tenor_days
                order by
                    abs(versions.tenor_days - products.tenor_days) asc, versions.tenor_days asc,
                    versions.rate_on desc, versions.rate desc
            ) = 1
    ),

    accounts as (
        select
            accounts.*,
            accounts.closed_on is null or accounts.closed_on >= accounts.month_start_on as is_counted,
            rates.rate as market_rate
        from {{ ref('int_account_month_known') }} as accounts
        left join rates
            on
                accounts.month_start_on = rates.month_start_on
                and accounts.category = rates.category
                and coalesce(accounts.term_days, 1) = rates.tenor_days
                and accounts.is_open
                and accounts.interest_rate is not null
    ),

    holdings as (
        select
            person_id,
            month_start_on,
            month_end_on,
            {{ complete_sum('average_base', 'is_aum and is_counted') }} as aum_average,
            {{ complete_sum('closing_base', 'is_aum and is_counted') }} as aum_end,
            {{ complete_sum("average_base", "is_aum and is_counted and category = 'deposit_demand'") }} as demand_average,
        {{ complete_sum(
            'closing_base', "is_aum and is_counted and category in ('deposit_demand', 'deposit_term', 'structured')"
        ) }} as deposit_end,
        {{ complete_sum(
            'closing_base', "is_aum and is_counted and category in ('deposit_term', 'structured')"
        ) }} as term_deposit_end,
            -{{ complete_sum('closing_base', 'is_lum and is_counted') }} as lum_end,
        {{ complete_sum(
            'closing_base',
            'is_aum and is_open and matures_on > month_end_on and matures_on <= ' ~ add_days('month_end_on', 92)
        ) }} as term_maturing_3m,
            sum(closing_base * (market_rate - interest_rate)) filter (
                where is_aum and market_rate > interest_rate
            ) as interest_forgone,
            sum(closing_base * interest_rate) filter (where is_aum and is_open and closing_base > 0) as interest_earned,
            sum(closing_base) filter (where is_aum and is_open and closing_base > 0 and interest_rate is not null) as earning_amount,
            count(*) filter (where is_open) as accounts_open,
            count(*) filter (
                where closed_on > {{ add_days('month_end_on', -92) }} and closure_reason in ('matured', 'rebooked')
            ) as matured_accounts_3m,
            max(opened_on) filter (where opened_on <= month_end_on) as last_opened_on,
            min(opened_on) as first_opened_on,
            max(last_customer_on) as last_customer_on,
            bool_or(closing_base is not null or last_customer_on is not null) as is_observed,
            bool_or(is_open and category = 'loan_mortgage') as has_mortgage,
            bool_or(is_open and category = 'credit_card') as has_credit_card,
            bool_or(is_open and (is_payroll or category = 'payroll')) as has_payroll,
            bool_or(is_open and category in ('wealth', 'structured', 'fund', 'trust')) as has_wealth,
            bool_or(is_open and category in ('deposit_term', 'structured')) as has_term_deposit,
            bool_or(is_open and category = 'insurance') as has_insurance,
            bool_or(is_open and is_lum and category <> 'credit_card') as has_loan
        from accounts
        group by person_id, month_start_on, month_end_on
    )

    select
        holdings.*,
        coalesce(counts.products_held, 0) as products_held,
        coalesce(counts.closed_products_1m, 0) as closed_products_1m,
        coalesce(counts.closed_products_6m, 0) as closed_products_6m,
        coalesce(counts.opened_products_3m, 0) as opened_products_3m,
        coalesce(counts.opened_products_12m, 0) as opened_products_12m,
        coalesce(counts.aum_categories_held, 0) as aum_categories_held
    from holdings
    left join {{ ref('int_person_month_product_count') }} as counts
        on
            holdings.person_id = counts.person_id
            and holdings.month_start_on = counts.month_start_on
{% endif %}
