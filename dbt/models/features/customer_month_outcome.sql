with

accounts as (
    select
        accounts.account_id,
        accounts.person_id,
        accounts.is_aum,
        accounts.opened_on,
        accounts.ended_on as closed_on,
        accounts.closure_reason,
        accounts.contract_amount
    from {{ ref('dim_account') }} as accounts
    where accounts.person_id is not null
),

persons as (
    select
        person_id,
        min(month_start_on) as first_month_on
    from {{ ref('fct_customer_month') }}
    group by person_id
),

months as (
    select
        persons.person_id,
        dates.date_on as month_start_on,
        dates.month_end_on
    from persons
    inner join {{ ref('dim_date') }} as dates
        on
            dates.day_of_month = 1
            and persons.first_month_on <= dates.date_on
            and dates.month_end_on <= {{ as_of() }}
),

closings as (
    select
        months.person_id,
        months.month_start_on,
        max(accounts.closed_on) as closed_on,
        max_by(accounts.closure_reason, cast(accounts.closed_on as varchar) || accounts.account_id) as closure_reason,
        bool_or(accounts.closure_reason = 'death') as is_deceased,
        bool_or(accounts.closure_reason = 'merged' and accounts.closed_on >= months.month_start_on) as is_branch_merged
    from months
    inner join accounts
        on
            months.person_id = accounts.person_id
            and months.month_end_on >= accounts.closed_on
    group by months.person_id, months.month_start_on
),

-- what the versions of customers and accounts said at the month's end
deceased as (
    select
        person_id,
        min(valid_from) as deceased_from
    from {{ ref('dim_customer') }}
    where is_deceased
    group by person_id
),

frozen as (
    select distinct
        accounts.person_id,
        months.month_start_on
    from {{ ref('stg_accounts') }} as versions
    inner join accounts on versions.account_id = accounts.account_id
    inner join months
        on
            accounts.person_id = months.person_id
            and versions.known_from <= months.month_end_on
            and versions.known_to > months.month_end_on
    where versions.status = 'frozen'
),

-- money of a matured product that was gone at the month's end and came back in time
rebooked as (
    select
        matured.person_id,
        {{ month_start('matured.closed_on') }} as month_start_on,
        max(matured.contract_amount) as amount
    from accounts as matured
    inner join accounts as renewals
        on
            matured.person_id = renewals.person_id
            and renewals.is_aum
            and matured.closed_on < renewals.opened_on
            and renewals.opened_on <= {{ add_days('matured.closed_on', 'cast(' ~ setting('rebooking_days') ~ ' as integer)') }}
            and 2 * renewals.contract_amount >= matured.contract_amount
    where matured.is_aum and matured.closure_reason in ('matured', 'rebooked')
    group by matured.person_id, {{ month_start('matured.closed_on') }}
),

active_days as (
    select
        accounts.person_id,
        {{ month_start('days.booked_on') }} as month_start_on,
        max(days.booked_on) as booked_on
    from {{ ref('int_account_day') }} as days
    inner join accounts on days.account_id = accounts.account_id
    where days.customer_initiated_count > 0
    group by accounts.person_id, {{ month_start('days.booked_on') }}
),

initiators as (
    select coalesce(bool_or(initiated_by is not null), false) as tells_initiator
    from {{ ref('fct_transaction') }}
)

select
    months.person_id,
    months.month_start_on,
    cast(case when facts.person_id is null then 0 else facts.aum_average_base end as decimal(18, 2)) as aum_average,
    cast(coalesce(facts.account_count, 0) as integer) as accounts_open,
    case
        when initiators.tells_initiator then cast(coalesce(facts.customer_initiated_count, 0) as integer)
    end as customer_transactions_1m,
    {{ days_between(
        'max(active_days.booked_on) over history',
        'months.month_end_on'
    ) }} as days_since_last_customer_transaction,
    case when coalesce(facts.account_count, 0) = 0 then closings.closed_on end as all_accounts_closed_on,
    case when coalesce(facts.account_count, 0) = 0 then closings.closure_reason end as closure_reason,
    coalesce(deceased.deceased_from <= months.month_end_on, false) or coalesce(closings.is_deceased, false) as is_deceased,
    frozen.person_id is not null as is_frozen,
    coalesce(closings.is_branch_merged, false) as is_branch_merged,
    coalesce(2 * (lag(facts.aum_period_end_base) over history - facts.aum_period_end_base) >= rebooked.amount, false) as is_rebooked
from months
left join {{ ref('fct_customer_month') }} as facts
    on months.person_id = facts.person_id and months.month_start_on = facts.month_start_on
left join closings on months.person_id = closings.person_id and months.month_start_on = closings.month_start_on
left join deceased on months.person_id = deceased.person_id
left join frozen on months.person_id = frozen.person_id and months.month_start_on = frozen.month_start_on
left join rebooked on months.person_id = rebooked.person_id and months.month_start_on = rebooked.month_start_on
left join active_days on months.person_id = active_days.person_id and months.month_start_on = active_days.month_start_on
cross join initiators
window history as (partition by months.person_id order by months.month_start_on rows unbounded preceding)
