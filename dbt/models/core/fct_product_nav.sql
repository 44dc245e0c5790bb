with

-- stated by several systems: the first speaks, as for the product itself
prices as (
    select *
    from {{ ref('stg_product_nav') }}
    where is_current and nav_on <= {{ as_of() }}
    qualify row_number() over (partition by product_code, nav_on order by source_system) = 1
),

compared as (
    select
        *,
        lag(nav_on) over (partition by product_code order by nav_on) as previous_nav_on,
        lag(nav) over (partition by product_code order by nav_on) as previous_nav
    from prices
)

select
    compared.product_code,
    compared.nav_on,
    compared.nav,
    compared.previous_nav_on,
    compared.previous_nav,
    {{ ratio('compared.nav - compared.previous_nav', 'compared.previous_nav') }} as change_ratio,
    products.currency,
    compared.known_from as known_on,
    compared.is_known_on_assumed
from compared
inner join {{ ref('dim_product') }} as products on compared.product_code = products.product_code
