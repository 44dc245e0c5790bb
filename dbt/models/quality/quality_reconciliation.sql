with

days as (
    select
        accounts.source_system,
        accounts.product_code,
        accounts.balance_basis,
        reconciliation.is_reconciled,
        reconciliation.difference_amount
    from {{ ref('account_day_reconciliation') }} as reconciliation
    inner join {{ ref('dim_account') }} as accounts on reconciliation.account_id = accounts.account_id
)

select
    source_system,
    product_code,
    balance_basis,
    count(*) as account_day_count,
    count(*) filter (where is_reconciled) as reconciled_count,
    max(difference_amount) as largest_difference_amount
from days
group by source_system, product_code, balance_basis
