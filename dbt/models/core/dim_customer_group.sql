with

members as (
    select
        bridge.customer_group_id,
        count(*) as member_count,
        count(*) filter (where customers.party_type = 'corporate') as firm_count
    from {{ ref('bridge_customer_household') }} as bridge
    inner join {{ ref('dim_customer') }} as customers on bridge.person_id = customers.person_id and customers.is_current
    where bridge.customer_group_id is not null
    group by bridge.customer_group_id
),

links as (
    select
        bridge.customer_group_id,
        count(distinct links.first_person_id || '|' || links.second_person_id) as link_count
    from {{ ref('int_person_link') }} as links
    inner join {{ ref('bridge_customer_household') }} as bridge on links.first_person_id = bridge.person_id
    where links.kind = 'group'
    group by bridge.customer_group_id
)

select
    members.customer_group_id,
    cast(members.member_count as integer) as member_count,
    cast(coalesce(links.link_count, 0) as integer) as link_count,
    cast(members.firm_count as integer) as firm_count
from members
left join links on members.customer_group_id = links.customer_group_id
