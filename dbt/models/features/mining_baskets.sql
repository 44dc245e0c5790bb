select distinct
    accounts.person_id,
    items.item,
    items.category
from {{ ref('dim_account') }} as accounts
inner join {{ ref('mining_basket_items') }} as items on accounts.product_code = items.item
where
    accounts.person_id is not null
    and accounts.opened_on <= {{ as_of() }}
    and accounts.is_open
    and not items.is_near_universal
