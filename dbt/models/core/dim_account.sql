with

accounts as (
    select
        *,
        least({{ as_of() }}, coalesce(ended_on, {{ as_of() }})) as counted_to
    from {{ ref('int_account') }}
)

select
    accounts.account_id,
    accounts.source_system,
    accounts.person_id,
    accounts.owner_basis,
    accounts.product_code,
    products.category,
    products.side,
    coalesce(products.is_aum, false) as is_aum,
    coalesce(products.is_lum, false) as is_lum,
    accounts.branch_id,
    accounts.settlement_account_id,
    accounts.currency,
    accounts.opened_on,
    accounts.closed_on,
    accounts.ended_on,
    accounts.matures_on,
    accounts.ended_on is null or accounts.ended_on > {{ as_of() }} as is_open,
    case
        when accounts.opened_on <= accounts.counted_to
            then {{ days_between('accounts.opened_on', 'accounts.counted_to') }}
    end as open_days,
    accounts.status,
    accounts.closure_reason,
    accounts.rate as interest_rate,
    accounts.credit_limit as credit_limit_amount,
    accounts.amount as contract_amount,
    accounts.is_payroll,
    accounts.opened_channel,
    accounts.first_booked_on,
    accounts.last_booked_on,
    cast(anchors.opening_amount as decimal(18, 2)) as anchor_amount,
    anchors.balance_from as balance_known_from,
    coalesce(anchors.balance_basis, 'absent: no transaction known') as balance_basis,
    anchors.balance_from is not null as has_balance,
    accounts.is_deleted,
    accounts.is_inferred,
    accounts.is_known_on_assumed
from accounts
left join {{ ref('dim_product') }} as products on accounts.product_code = products.product_code
left join {{ ref('int_account_anchor') }} as anchors on accounts.account_id = anchors.account_id
