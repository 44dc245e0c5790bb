{#
    What made a customer move. The average assets of a month are the flows before it plus its own flows, each weighted by the share of the month's days
    on which it counts; so the difference of two months' averages is the sum of the weighted flows of each kind, exactly but for balances that were not
    known from the first day (they stay unexplained).
#}
with

moves as (
    select
        person_id,
        month_number,
        cast(sign(next_rank - tier_rank) as integer) as direction,
        case when next_rank < tier_rank then missed_from else month_number end - 1 as reference_number
    from {{ ref('int_person_month_tier') }}
    where next_rank <> tier_rank
),

accounts as (
    select
        account_id,
        person_id,
        opened_on,
        ended_on,
        closure_reason,
        side,
        contract_amount,
        category = 'deposit_demand' as is_demand
    from {{ ref('dim_account') }}
    where is_aum and person_id in (select moves.person_id from moves)
),

flows as (
    select
        accounts.person_id,
        {{ month_number('transactions.booked_on') }} as month_number,
        {{ days_between('transactions.booked_on', month_end('transactions.booked_on')) }} + 1 as days,
        cast(extract(day from {{ month_end('transactions.booked_on') }}) as integer) as days_in_month,
        case
            when transactions.kind in ('revaluation', 'interest', 'dividend') then 'market_value'
            when transactions.counterparty_kind = 'own' or transactions.kind in ('loan_drawdown', 'loan_repayment') then 'own_transfer'
            else 'external_flow'
        end as source,
        transactions.amount_base
    from {{ ref('fct_transaction') }} as transactions
    inner join accounts on transactions.account_id = accounts.account_id
    where transactions.booked_on <= {{ as_of() }}
),

flow_months as (
    select
        person_id,
        month_number,
    {%- for source in ['market_value', 'own_transfer', 'external_flow'] %}
        coalesce(sum(amount_base) filter (where source = '{{ source }}'), 0) as {{ source }},
        {{ divide_amount(
            "coalesce(sum(amount_base * days) filter (where source = '" ~ source ~ "'), 0)", 'days_in_month'
        ) }} as {{ source }}_average{{ ',' if not loop.last }}
    {%- endfor %}
    from flows
    group by person_id, month_number, days_in_month
),

averages as (
    select
        months.person_id,
        months.month_number,
        months.aum_average,
    {%- for source in ['market_value', 'own_transfer', 'external_flow'] %}
        coalesce(flow_months.{{ source }}_average, 0)
        + coalesce(sum(flow_months.{{ source }}) over before, 0) as {{ source }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('int_person_month') }} as months
    left join flow_months on months.person_id = flow_months.person_id and months.month_number = flow_months.month_number
    where months.person_id in (select moves.person_id from moves)
    window before as (partition by months.person_id order by months.month_number rows between unbounded preceding and 1 preceding)
),

matured as (
    select
        moves.person_id,
        moves.month_number,
        sum(
            case
                when
                    accounts.closure_reason in ('matured', 'rebooked')
                    and {{ month_number('accounts.ended_on') }} between moves.reference_number and moves.month_number
                    then accounts.contract_amount
                else 0
            end
        ) - sum(
            case
                when {{ month_number('accounts.opened_on') }} between moves.reference_number and moves.month_number
                    then accounts.contract_amount
                else 0
            end
        ) as amount
    from moves
    inner join accounts on moves.person_id = accounts.person_id
    where not accounts.is_demand
    group by moves.person_id, moves.month_number
),

explained as (
    select
        moves.*,
        matured.amount as matured,
        now.aum_average - case when earlier.person_id is null then 0 else earlier.aum_average end as change,
    {%- for source in ['market_value', 'own_transfer', 'external_flow'] %}
        now.{{ source }} - coalesce(earlier.{{ source }}, 0) as {{ source }}{{ ',' if not loop.last }}
    {%- endfor %}
    from moves
    inner join averages as now on moves.person_id = now.person_id and moves.month_number = now.month_number
    left join averages as earlier on moves.person_id = earlier.person_id and moves.reference_number = earlier.month_number
    left join matured on moves.person_id = matured.person_id and moves.month_number = matured.month_number
)

select
    person_id,
    month_number + 1 as month_number,
    change,
    market_value,
    own_transfer,
    external_flow,
    change - market_value - own_transfer - external_flow as unexplained,
    coalesce(greatest(matured, 0), 0) as matured,
    case
        when direction < 0 and change < 0 and 2 * matured >= -change then 'product_maturity'
        when greatest(direction * market_value, direction * own_transfer, direction * external_flow) <= 0 then 'other'
        when direction * external_flow >= greatest(direction * market_value, direction * own_transfer) then 'external_flow'
        when direction * market_value >= direction * own_transfer then 'market_value'
        else 'own_transfer'
    end as reason
from explained
