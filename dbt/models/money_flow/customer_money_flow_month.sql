with

accounts as (
    select
        account_id,
        person_id,
        {{ position_side('is_aum', 'is_lum') }} as side
    from {{ ref('dim_account') }}
    where person_id is not null
),

balances as (
    select
        accounts.person_id,
        accounts.side,
        months.month_start_on,
        count(*) filter (where months.closing_balance_amount is null) as unknown_count,
        count(*) filter (where months.closing_balance_amount is not null and months.closing_balance_base is null) as without_rate_count,
        sum(months.opening_balance_base) as opening_base,
        sum(months.closing_balance_base) as closing_base
    from {{ ref('fct_account_month') }} as months
    inner join accounts on months.account_id = accounts.account_id
    group by accounts.person_id, accounts.side, months.month_start_on
),

flows as (
    select
        accounts.person_id,
        accounts.side,
        flows.month_start_on,
        {% for component in money_flow_components() -%}
            coalesce(
                sum(flows.inflow_base + flows.outflow_base) filter (where flows.component = '{{ component }}'), 0
            ) as {{ component }},
        {% endfor -%}
        sum(flows.inflow_base + flows.outflow_base) as net,
        sum(flows.inflow_base - flows.outflow_base) as gross,
        coalesce(sum(flows.inflow_base - flows.outflow_base) filter (where flows.component = 'unclassified'), 0) as unclassified_gross,
        sum(flows.transaction_count) as transaction_count,
        coalesce(sum(flows.transaction_count) filter (where flows.component = 'unclassified'), 0) as unclassified_count,
        sum(flows.without_rate_count) as without_rate_count
    from {{ ref('int_account_month_flow') }} as flows
    inner join accounts on flows.account_id = accounts.account_id
    group by accounts.person_id, accounts.side, flows.month_start_on
),

-- a sum over accounts is absent while it is not complete
judged as (
    select
        balances.person_id,
        balances.side,
        balances.month_start_on,
        balances.unknown_count,
        balances.opening_base,
        balances.closing_base,
        {% for component in money_flow_components() -%}
            coalesce(flows.{{ component }}, 0) as {{ component }},
        {% endfor -%}
        coalesce(flows.net, 0) as net,
        coalesce(flows.gross, 0) as gross,
        coalesce(flows.unclassified_gross, 0) as unclassified_gross,
        coalesce(flows.transaction_count, 0) as transaction_count,
        coalesce(flows.unclassified_count, 0) as unclassified_count,
        balances.without_rate_count = 0 and coalesce(flows.without_rate_count, 0) = 0 as has_rates,
        balances.unknown_count = 0 and balances.without_rate_count = 0 and coalesce(flows.without_rate_count, 0) = 0 as is_complete
    from balances
    left join flows
        on
            balances.person_id = flows.person_id
            and balances.side = flows.side
            and balances.month_start_on = flows.month_start_on
)

select
    person_id,
    month_start_on,
    side,
    cast(case when is_complete then opening_base end as decimal(18, 2)) as opening_balance_base,
    {% for component in money_flow_components() -%}
        cast(case when has_rates then {{ component }} end as decimal(18, 2)) as {{ component }}_base,
    {% endfor -%}
    cast(case when is_complete then closing_base end as decimal(18, 2)) as closing_balance_base,
    cast(case when is_complete then opening_base + net - closing_base end as decimal(18, 2)) as residual_base,
    cast(case when has_rates then gross end as decimal(18, 2)) as gross_flow_base,
    cast(case when has_rates then unclassified_gross end as decimal(18, 2)) as unclassified_gross_base,
    cast(transaction_count as bigint) as transaction_count,
    cast(unclassified_count as bigint) as unclassified_count,
    {{ month_end('month_start_on') }} > {{ as_of() }} as is_partial,
    case
        when not has_rates then 'absent: an account is in a currency without a rate'
        when unknown_count > 0 then 'absent: an account has no known balance'
        else 'known'
    end as balance_basis
from judged
where side <> 'other' or closing_base is not null or transaction_count > 0
