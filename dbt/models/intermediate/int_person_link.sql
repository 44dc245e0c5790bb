with

-- owner and joint owners of an account keep one purse; whoever may only dispose of it does not
holders as (
    select
        account_id,
        person_id
    from {{ ref('int_account') }}
    where person_id is not null
    union
    select
        holders.account_id,
        persons.person_id
    from {{ ref('stg_account_holders') }} as holders
    inner join {{ ref('int_customer_named') }} as persons
        on
            holders.customer_source_system = persons.customer_source_system
            and holders.source_customer_id = persons.source_customer_id
    where holders.is_current and holders.role in ('owner', 'joint')
),

shared as (
    select account_id
    from holders
    group by account_id
    having count(*) > 1
),

joint as (
    select distinct
        'household' as kind,
        first_holder.person_id as first_person_id,
        second_holder.person_id as second_person_id,
        'joint account' as evidence
    from shared
    inner join holders as first_holder on shared.account_id = first_holder.account_id
    inner join holders as second_holder
        on
            shared.account_id = second_holder.account_id
            and first_holder.person_id < second_holder.person_id
),

stated as (
    select distinct
        case when relationships.kind in ('spouse', 'household') then 'household' else 'group' end as kind,
        least(ones.person_id, others.person_id) as first_person_id,
        greatest(ones.person_id, others.person_id) as second_person_id,
        relationships.kind as evidence
    from {{ ref('stg_customer_relationships') }} as relationships
    inner join {{ ref('int_customer_named') }} as ones
        on
            relationships.customer_source_system = ones.customer_source_system
            and relationships.source_customer_id = ones.source_customer_id
    inner join {{ ref('int_customer_named') }} as others
        on
            relationships.related_source_system = others.customer_source_system
            and relationships.related_customer_id = others.source_customer_id
    where
        relationships.is_current
        and relationships.kind in ('spouse', 'household', 'owner', 'legal_representative', 'group_member')
        and relationships.valid_from <= {{ as_of() }}
        and coalesce(relationships.valid_to, {{ open_end() }}) >= {{ as_of() }}
        and ones.person_id <> others.person_id
),

links as (
    select * from joint
    union all
    select * from stated
),

-- a firm is nobody's household, whoever signs with it
firms as (
    select person_id
    from {{ ref('dim_customer') }}
    where is_current and party_type = 'corporate'
)

select links.*
from links
left join firms as first_firm on links.first_person_id = first_firm.person_id
left join firms as second_firm on links.second_person_id = second_firm.person_id
where links.kind = 'group' or (first_firm.person_id is null and second_firm.person_id is null)
