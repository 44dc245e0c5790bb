with

members as (
    select
        household_id,
        count(*) as member_count
    from {{ ref('bridge_customer_household') }}
    where household_id is not null
    group by household_id
),

links as (
    select
        bridge.household_id,
        count(distinct links.first_person_id || '|' || links.second_person_id) as link_count,
        bool_or(links.evidence = 'joint account') as has_joint_account,
        bool_or(links.evidence <> 'joint account') as has_stated_relationship
    from {{ ref('int_person_link') }} as links
    inner join {{ ref('bridge_customer_household') }} as bridge on links.first_person_id = bridge.person_id
    where links.kind = 'household'
    group by bridge.household_id
)

select
    members.household_id,
    cast(members.member_count as integer) as member_count,
    cast(coalesce(links.link_count, 0) as integer) as link_count,
    coalesce(links.has_joint_account, false) as has_joint_account,
    coalesce(links.has_stated_relationship, false) as has_stated_relationship
from members
left join links on members.household_id = links.household_id
