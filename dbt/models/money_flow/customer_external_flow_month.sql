with

flows as (
    select
        accounts.person_id,
        flows.month_start_on,
        {{ position_side('accounts.is_aum', 'accounts.is_lum') }} as side,
        flows.component as counterparty_kind,
        flows.counterparty_name,
        sum(flows.without_rate_count) = 0 as has_rates,
        sum(flows.inflow_base) as inflow,
        sum(flows.outflow_base) as outflow,
        sum(flows.transaction_count) as transaction_count
    from {{ ref('int_account_month_flow') }} as flows
    inner join {{ ref('dim_account') }} as accounts on flows.account_id = accounts.account_id
    where flows.counterparty_name is not null and accounts.person_id is not null
    group by all
)

select
    person_id,
    month_start_on,
    side,
    counterparty_kind,
    counterparty_name,
    cast(case when has_rates then inflow end as decimal(18, 2)) as inflow_base,
    cast(case when has_rates then outflow end as decimal(18, 2)) as outflow_base,
    cast(case when has_rates then inflow + outflow end as decimal(18, 2)) as net_flow_base,
    cast(transaction_count as bigint) as transaction_count
from flows
