select
    account_id,
    person_id,
    product_code as item,
    opened_on as held_from,
    coalesce(ended_on, {{ open_end() }}) as held_to
from {{ ref('dim_account') }}
where
    person_id is not null
    and product_code is not null
    and opened_on <= {{ as_of() }}
