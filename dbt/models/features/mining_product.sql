with

terms as (
    select *
    from {{ ref('product_terms') }}
    where valid_from <= {{ as_of() }} and {{ as_of() }} < valid_to
),

last_month as (
    select max(month_start_on) as month_start_on
    from {{ ref('fct_customer_month') }}
    where not is_partial
),

balances as (
    select
        accounts.product_code,
        sum(abs(months.average_balance_base)) as balance_base,
        count(*) as account_count
    from {{ ref('fct_account_month') }} as months
    inner join last_month on months.month_start_on = last_month.month_start_on
    inner join {{ ref('dim_account') }} as accounts on months.account_id = accounts.account_id
    where accounts.is_open and months.average_balance_base is not null
    group by accounts.product_code
),

priced as (
    select
        products.product_code as item,
        products.name,
        products.category,
        products.audience,
        products.risk_level,
        terms.minimum_age,
        coalesce(terms.is_offered, false)
        and not products.is_inferred
        and coalesce(products.launched_on <= {{ as_of() }}, true)
        and coalesce(products.withdrawn_on > {{ as_of() }}, true) as is_offered,
        cast({{ divide_amount('balances.balance_base', 'balances.account_count') }} as decimal(18, 2)) as average_balance_base,
        terms.margin_rate,
        terms.fee_base
    from {{ ref('dim_product') }} as products
    left join terms on products.category = terms.category
    left join balances on products.product_code = balances.product_code
)

select
    *,
    cast(average_balance_base * margin_rate + fee_base as decimal(18, 2)) as expected_margin_base,
    case
        when margin_rate is null or fee_base is null then 'no margin is stated for its category (seed product_terms)'
        when average_balance_base is null then 'no balance of it is known in the last complete month'
    end as margin_absent_because
from priced
