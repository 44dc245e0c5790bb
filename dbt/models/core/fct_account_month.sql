with

-- no month is counted before the bank's transactions begin: of an old account nothing is known there
history as (
    select min(first_booked_on) as starts_on
    from {{ ref('dim_account') }}
    where first_booked_on >= opened_on
),

accounts as (
    select
        accounts.*,
        case
            when accounts.opened_on is null then accounts.first_booked_on
            else least(accounts.first_booked_on, greatest(accounts.opened_on, history.starts_on))
        end as counted_from,
        case
            when accounts.ended_on is null then {{ as_of() }}
            else least({{ as_of() }}, greatest(accounts.ended_on, accounts.last_booked_on))
        end as counted_to
    from {{ ref('dim_account') }} as accounts
    cross join history
),

months as (
    select
        date_on as month_start_on,
        month_end_on,
        days_in_month,
        least(month_end_on, {{ as_of() }}) as known_to
    from {{ ref('dim_date') }}
    where day_of_month = 1 and date_on <= {{ as_of() }}
),

-- a day's flow counts in the month's daily average once for each day from then to the month's last known day
flows as (
    select
        account_days.account_id,
        months.month_start_on,
        sum(account_days.inflow_amount) as inflow_amount,
        sum(account_days.outflow_amount) as outflow_amount,
        sum(
            account_days.net_amount * ({{ days_between('account_days.booked_on', 'months.known_to') }} + 1)
        ) as flow_days_amount,
        sum(account_days.transaction_count) as transaction_count,
        sum(account_days.customer_initiated_count) as customer_initiated_count
    from {{ ref('int_account_day') }} as account_days
    inner join months on months.month_start_on = {{ month_start('account_days.booked_on') }}
    group by account_days.account_id, months.month_start_on
),

account_months as (
    select
        accounts.account_id,
        accounts.currency,
        accounts.anchor_amount as opening_amount,
        months.month_start_on,
        months.days_in_month,
        months.known_to,
        case
            when accounts.balance_basis = 'transactions from opening' then months.month_start_on
            when accounts.balance_known_from <= months.known_to
                then greatest(months.month_start_on, accounts.balance_known_from)
        end as known_from,
        accounts.balance_basis = 'transactions from opening'
        or coalesce(least(accounts.first_booked_on, accounts.balance_known_from) <= months.known_to, false) as has_flows
    from accounts
    inner join months
        on
            accounts.counted_from <= months.known_to
            and accounts.counted_to >= months.month_start_on
),

balances as (
    select
        account_months.account_id,
        account_months.currency,
        account_months.month_start_on,
        account_months.days_in_month,
        case
            when account_months.known_from is not null
                then {{ days_between('account_months.known_from', 'account_months.known_to') }} + 1
        end as days_known,
        case when account_months.has_flows then coalesce(flows.inflow_amount, 0) end as inflow_amount,
        case when account_months.has_flows then coalesce(flows.outflow_amount, 0) end as outflow_amount,
        coalesce(flows.flow_days_amount, 0) as flow_days_amount,
        coalesce(flows.transaction_count, 0) as transaction_count,
        coalesce(flows.customer_initiated_count, 0) as customer_initiated_count,
        case
            when account_months.known_from is not null
                then account_months.opening_amount + sum(coalesce(flows.inflow_amount + flows.outflow_amount, 0)) over (
                    partition by account_months.account_id
                    order by account_months.month_start_on
                    rows unbounded preceding
                )
        end as closing_amount
    from account_months
    left join flows
        on
            account_months.account_id = flows.account_id
            and account_months.month_start_on = flows.month_start_on
),

averages as (
    select
        *,
        closing_amount - inflow_amount - outflow_amount as opening_amount,
        (closing_amount - inflow_amount - outflow_amount) * days_known + flow_days_amount as balance_days_amount
    from balances
),

rounded as (
    select
        *,
        {{ divide_amount('balance_days_amount', 'days_known') }} as average_amount
    from averages
)

select
    account_id,
    month_start_on,
    currency,
    cast(opening_amount as decimal(18, 2)) as opening_balance_amount,
    cast(inflow_amount as decimal(18, 2)) as inflow_amount,
    cast(outflow_amount as decimal(18, 2)) as outflow_amount,
    cast(closing_amount as decimal(18, 2)) as closing_balance_amount,
    cast(average_amount as decimal(18, 2)) as average_balance_amount,
    cast({{ in_base('opening_amount', 'currency') }} as decimal(18, 2)) as opening_balance_base,
    cast({{ in_base('inflow_amount', 'currency') }} as decimal(18, 2)) as inflow_base,
    cast({{ in_base('outflow_amount', 'currency') }} as decimal(18, 2)) as outflow_base,
    cast({{ in_base('closing_amount', 'currency') }} as decimal(18, 2)) as closing_balance_base,
    cast({{ in_base('average_amount', 'currency') }} as decimal(18, 2)) as average_balance_base,
    cast(transaction_count as bigint) as transaction_count,
    cast(customer_initiated_count as bigint) as customer_initiated_count,
    days_in_month,
    cast(coalesce(days_known, 0) as integer) as days_in_month_known,
    coalesce(days_known, 0) < days_in_month as is_partial
from rounded
