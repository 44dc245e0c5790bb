with

accounts as (
    select
        account_id,
        settlement_account_id,
        coalesce(customer_source_system, source_system) as customer_source_system,
        source_customer_id,
        known_to
    from {{ ref('stg_accounts') }}
    where is_last
),

stated_customers as (
    select
        account_id,
        customer_source_system,
        source_customer_id,
        'account' as owner_basis,
        1 as precedence,
        cast(null as decimal(9, 6)) as share
    from accounts
    where source_customer_id is not null
    union all
    -- who holds the account, or held it when it was deleted
    select
        holders.account_id,
        holders.customer_source_system,
        holders.source_customer_id,
        'holder' as owner_basis,
        2 as precedence,
        holders.share
    from {{ ref('stg_account_holders') }} as holders
    inner join accounts on holders.account_id = accounts.account_id
    where
        holders.role = 'owner'
        and holders.known_from < accounts.known_to
        and holders.known_to >= accounts.known_to
),

account_customers as (
    select *
    from stated_customers
    qualify
        row_number() over (
            partition by account_id
            order by precedence asc, coalesce(share, 0) desc, customer_source_system asc, source_customer_id asc
        ) = 1
),

owners as (
    select
        accounts.account_id,
        coalesce(own.customer_source_system, settlement.customer_source_system) as customer_source_system,
        coalesce(own.source_customer_id, settlement.source_customer_id) as source_customer_id,
        case
            when own.source_customer_id is not null then own.owner_basis
            when settlement.source_customer_id is not null then 'settlement_account'
            else 'none'
        end as owner_basis
    from accounts
    left join account_customers as own on accounts.account_id = own.account_id
    left join account_customers as settlement on accounts.settlement_account_id = settlement.account_id
)

select
    owners.account_id,
    owners.owner_basis,
    coalesce(
        persons.person_id,
        {{ person_id_of_unknown('owners.customer_source_system', 'owners.source_customer_id') }}
    ) as person_id
from owners
left join {{ ref('int_customer_person') }} as persons
    on
        owners.customer_source_system = persons.source_system
        and owners.source_customer_id = persons.source_customer_id
