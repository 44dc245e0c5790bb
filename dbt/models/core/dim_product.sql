with

-- a code stated by several source systems is one product: the first system speaks for it, quality counts the others
stated as (
    select *
    from {{ ref('stg_products') }}
    where is_current
    qualify row_number() over (partition by product_code order by source_system) = 1
),

held as (
    select product_code
    from {{ ref('int_account') }}
    where product_code is not null
    union
    select product_code
    from {{ ref('stg_campaigns') }}
    where is_last and product_code is not null
    union
    select product_code
    from {{ ref('stg_complaints') }}
    where is_current and product_code is not null
    union
    select product_code
    from {{ ref('stg_product_nav') }}
    where is_current
),

products as (
    select
        coalesce(stated.product_code, held.product_code) as product_code,
        stated.name,
        coalesce(stated.category, 'unclassified') as category,
        stated.side,
        stated.audience,
        stated.currency,
        stated.term_days,
        stated.risk_level,
        stated.yield_kind,
        stated.yield_low,
        stated.yield_high,
        stated.launched_on,
        stated.withdrawn_on,
        stated.product_code is null as is_inferred
    from stated
    full outer join held on stated.product_code = held.product_code
),

categories as (
    select *
    from {{ ref('product_categories') }}
    where valid_from <= {{ as_of() }} and {{ as_of() }} < valid_to
)

select
    products.product_code,
    products.name,
    products.category,
    categories.name_en as category_name,
    categories.name_zh as category_name_zh,
    coalesce(products.side, categories.side) as side,
    coalesce(categories.is_aum, false) as is_aum,
    coalesce(categories.is_lum, false) as is_lum,
    products.audience,
    products.currency,
    products.term_days,
    products.risk_level,
    products.yield_kind,
    products.yield_low,
    products.yield_high,
    products.launched_on,
    products.withdrawn_on,
    products.is_inferred
from products
left join categories on products.category = categories.category
