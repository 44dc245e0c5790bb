with

delivered as (
    select
        accounts.*,
        owners.person_id,
        owners.owner_basis
    from {{ ref('stg_accounts') }} as accounts
    inner join {{ ref('int_account_owner') }} as owners on accounts.account_id = owners.account_id
    where accounts.is_last
),

transacting as (
    select
        account_id,
        min(source_system) as source_system,
        min(currency) as currency,
        min(booked_on) filter (where booked_on <= {{ as_of() }}) as first_booked_on,
        max(booked_on) filter (where booked_on <= {{ as_of() }}) as last_booked_on
    from {{ ref('fct_transaction') }}
    group by account_id
),

-- loans of which only what is due, or how they stand, was ever delivered
named as (
    select
        account_id,
        source_system
    from {{ ref('stg_payment_schedule') }}
    where is_current
    union
    select
        account_id,
        source_system
    from {{ ref('stg_loan_status') }}
    where is_current
)

select
    coalesce(delivered.account_id, transacting.account_id, named.account_id) as account_id,
    coalesce(delivered.source_system, transacting.source_system, named.source_system) as source_system,
    delivered.person_id,
    coalesce(delivered.owner_basis, 'none') as owner_basis,
    delivered.settlement_account_id,
    delivered.product_code,
    delivered.branch_id,
    coalesce(delivered.currency, transacting.currency) as currency,
    delivered.opened_on,
    delivered.closed_on,
    nullif(least(coalesce(delivered.closed_on, {{ open_end() }}), delivered.known_to), {{ open_end() }}) as ended_on,
    delivered.matures_on,
    delivered.rate,
    delivered.credit_limit,
    delivered.amount,
    delivered.status,
    delivered.closure_reason,
    delivered.is_payroll,
    delivered.opened_channel,
    transacting.first_booked_on,
    transacting.last_booked_on,
    delivered.account_id is null as is_inferred,
    coalesce(not delivered.is_current, false) as is_deleted,
    coalesce(delivered.is_known_on_assumed, false) as is_known_on_assumed
from delivered
full outer join transacting on delivered.account_id = transacting.account_id
full outer join named on coalesce(delivered.account_id, transacting.account_id) = named.account_id
