with

account_months as (
    select
        account_months.*,
        accounts.person_id,
        accounts.product_code,
        accounts.is_aum,
        accounts.is_lum,
        accounts.is_aum and accounts.side = 'liability' as is_deposit,
        dates.month_end_on,
        accounts.ended_on is null
        or accounts.ended_on > least(dates.month_end_on, {{ as_of() }}) as is_open
    from {{ ref('fct_account_month') }} as account_months
    inner join {{ ref('dim_account') }} as accounts on account_months.account_id = accounts.account_id
    inner join {{ ref('dim_date') }} as dates on account_months.month_start_on = dates.date_on
    where accounts.person_id is not null
),

-- apart from the sums: DuckDB cannot spill what `count(distinct ...)` keeps for each of millions of groups
products as (
    select distinct
        person_id,
        month_start_on,
        product_code
    from account_months
    where is_open and product_code is not null
),

product_counts as (
    select
        person_id,
        month_start_on,
        count(*) as product_count
    from products
    group by person_id, month_start_on
),

-- a sum is absent when one of its accounts is absent: a person is not poorer for what the bank does not know
customer_months as (
    select
        person_id,
        month_start_on,
        month_end_on,
        count(*) filter (where is_open) as account_count,
        count(*) filter (where (is_aum or is_lum) and closing_balance_base is null) as account_without_balance_count,
        {{ complete_sum('average_balance_base', 'is_aum') }} as aum_average,
        {{ complete_sum('closing_balance_base', 'is_aum') }} as aum_period_end,
        {{ complete_sum('average_balance_base', 'is_deposit') }} as deposit_average,
        {{ complete_sum('closing_balance_base', 'is_deposit') }} as deposit_period_end,
        {{ complete_sum('average_balance_base', 'is_aum and not is_deposit') }} as investment_average,
        {{ complete_sum('closing_balance_base', 'is_aum and not is_deposit') }} as investment_period_end,
        -{{ complete_sum('average_balance_base', 'is_lum') }} as lum_average,
        -{{ complete_sum('closing_balance_base', 'is_lum') }} as lum_period_end,
        case
            when count(*) filter (where inflow_amount is not null and inflow_base is null) = 0 then sum(inflow_base)
        end as inflow,
        case
            when count(*) filter (where outflow_amount is not null and outflow_base is null) = 0 then sum(outflow_base)
        end as outflow,
        sum(transaction_count) as transaction_count,
        sum(customer_initiated_count) as customer_initiated_count
    from account_months
    group by person_id, month_start_on, month_end_on
)

select
    customer_months.person_id,
    customer_months.month_start_on,
    cast(customer_months.account_count as integer) as account_count,
    cast(coalesce(product_counts.product_count, 0) as integer) as product_count,
    cast(customer_months.account_without_balance_count as integer) as account_without_balance_count,
    cast(customer_months.aum_average as decimal(18, 2)) as aum_average_base,
    cast(customer_months.aum_period_end as decimal(18, 2)) as aum_period_end_base,
    cast(customer_months.deposit_average as decimal(18, 2)) as deposit_average_base,
    cast(customer_months.deposit_period_end as decimal(18, 2)) as deposit_period_end_base,
    cast(customer_months.investment_average as decimal(18, 2)) as investment_average_base,
    cast(customer_months.investment_period_end as decimal(18, 2)) as investment_period_end_base,
    cast(customer_months.lum_average as decimal(18, 2)) as lum_average_base,
    cast(customer_months.lum_period_end as decimal(18, 2)) as lum_period_end_base,
    cast(customer_months.inflow as decimal(18, 2)) as inflow_base,
    cast(customer_months.outflow as decimal(18, 2)) as outflow_base,
    cast(customer_months.transaction_count as bigint) as transaction_count,
    cast(customer_months.customer_initiated_count as bigint) as customer_initiated_count,
    cast(extract(day from customer_months.month_end_on) as integer) as days_in_month,
    {{ days_between('customer_months.month_start_on', 'least(customer_months.month_end_on, ' ~ as_of() ~ ')') }} + 1 as days_in_month_known,
    customer_months.month_end_on > {{ as_of() }} as is_partial
from customer_months
left join product_counts
    on
        customer_months.person_id = product_counts.person_id
        and customer_months.month_start_on = product_counts.month_start_on
