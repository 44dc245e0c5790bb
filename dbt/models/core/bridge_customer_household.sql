select
    customers.person_id,
    case
        when coalesce(customers.party_type <> 'corporate', true)
            then substr({{ sha256_hex("'household|' || coalesce(households.component_id, customers.person_id)") }}, 1, 16)
    end as household_id,
    substr({{ sha256_hex("'group|' || customer_groups.component_id") }}, 1, 16) as customer_group_id
from {{ ref('dim_customer') }} as customers
left join {{ ref('int_person_component') }} as households
    on
        customers.person_id = households.person_id
        and households.kind = 'household'
left join {{ ref('int_person_component') }} as customer_groups
    on
        customers.person_id = customer_groups.person_id
        and customer_groups.kind = 'group'
where customers.is_current
