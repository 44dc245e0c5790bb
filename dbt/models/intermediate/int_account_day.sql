with

days as (
    select
        account_id,
        booked_on,
        sum(case when amount > 0 then amount else 0 end) as inflow_amount,
        sum(case when amount < 0 then amount else 0 end) as outflow_amount,
        sum(amount) as net_amount,
        count(*) as transaction_count,
        count(*) filter (where initiated_by = 'customer') as customer_initiated_count
    from {{ ref('fct_transaction') }}
    where booked_on <= {{ as_of() }}
    group by account_id, booked_on
)

select
    account_id,
    booked_on,
    inflow_amount,
    outflow_amount,
    net_amount,
    transaction_count,
    customer_initiated_count,
    sum(net_amount) over (partition by account_id order by booked_on rows unbounded preceding) as cumulated_amount
from days
