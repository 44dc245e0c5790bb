with

holdings as (
    select distinct
        person_id,
        product_code as item,
        category
    from {{ ref('dim_account') }}
    where
        person_id is not null
        and product_code is not null
        and opened_on <= {{ as_of() }}
        and is_open
),

baskets as (
    select count(distinct person_id) as basket_count
    from holdings
),

items as (
    select
        item,
        min(category) as category,
        count(*) as holder_count
    from holdings
    group by item
)

select
    items.item,
    items.category,
    items.holder_count,
    baskets.basket_count,
    items.holder_count >= {{ setting('near_universal_ratio') }} * baskets.basket_count as is_near_universal
from items
cross join baskets
