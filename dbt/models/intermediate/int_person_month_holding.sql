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

-- apart from the sums: DuckDB cannot spill what `count(distinct ...)` keeps for each of millions of groups
products_of_person as (
    select
        person_id,
        month_start_on,
        product_code,
        bool_or(is_open) as is_held,
        bool_or(closed_on >= month_start_on and coalesce(closure_reason <> 'matured', true)) as is_closed_1m,
        bool_or(
            closed_on > {{ add_days('month_end_on', -183) }} and coalesce(closure_reason <> 'matured', true)
        ) as is_closed_6m
    from accounts
    where product_code is not null
    group by person_id, month_start_on, product_code
),

product_counts as (
    select
        person_id,
        month_start_on,
        count(*) filter (where is_held) as products_held,
        count(*) filter (where is_closed_1m) as closed_products_1m,
        count(*) filter (where is_closed_6m) as closed_products_6m
    from products_of_person
    group by person_id, month_start_on
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
        -{{ complete_sum('closing_base', 'is_lum and is_counted') }} as lum_end,
        {{ complete_sum(
            'closing_base',
            'is_aum and is_open and matures_on > month_end_on and matures_on <= ' ~ add_days('month_end_on', 92)
        ) }} as term_maturing_3m,
        sum(closing_base * (market_rate - interest_rate)) filter (
            where is_aum and market_rate > interest_rate
        ) as interest_forgone,
        count(*) filter (where is_open) as accounts_open,
        min(opened_on) as first_opened_on,
        max(last_customer_on) as last_customer_on,
        bool_or(closing_base is not null or last_customer_on is not null) as is_observed,
        bool_or(is_open and category = 'loan_mortgage') as has_mortgage,
        bool_or(is_open and category = 'credit_card') as has_credit_card,
        bool_or(is_open and (is_payroll or category = 'payroll')) as has_payroll,
        bool_or(is_open and category in ('wealth', 'structured', 'fund', 'trust')) as has_wealth
    from accounts
    group by person_id, month_start_on, month_end_on
)

select
    holdings.*,
    coalesce(product_counts.products_held, 0) as products_held,
    coalesce(product_counts.closed_products_1m, 0) as closed_products_1m,
    coalesce(product_counts.closed_products_6m, 0) as closed_products_6m
from holdings
left join product_counts
    on
        holdings.person_id = product_counts.person_id
        and holdings.month_start_on = product_counts.month_start_on
