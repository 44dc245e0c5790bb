{{ config(materialized='view') }}
{#
    A quarter of whole months stands for the 90 days of the reference. Where the bank does not tell who initiated a transaction, silence and activity
    are absent.
#}
with

initiators as (
    select coalesce(bool_or(initiated_by is not null), false) as tells_initiator
    from {{ ref('fct_transaction') }}
),

acts as (
    select
        accounts.person_id,
        {{ month_start('account_days.booked_on') }} as month_start_on,
        max(account_days.booked_on) as last_on
    from {{ ref('int_account_day') }} as account_days
    inner join {{ ref('dim_account') }} as accounts on account_days.account_id = accounts.account_id
    where account_days.customer_initiated_count > 0
    group by accounts.person_id, {{ month_start('account_days.booked_on') }}
),

history as (
    select
        months.*,
        initiators.tells_initiator,
        max(acts.last_on) over past as last_on,
        min(case when months.is_first_of_history then months.month_start_on end) over past as history_from,
        sum(months.aum_average) over recent as aum_3m,
        sum(months.aum_average) over earlier as aum_before_3m,
        count(months.aum_average) over recent as aum_months,
        count(months.aum_average) over earlier as aum_before_months,
        sum(months.customer_initiated_count) over recent as activity_3m,
        sum(months.customer_initiated_count) over earlier as activity_before_3m,
        count(*) over earlier as before_months
    from {{ ref('int_person_month') }} as months
    cross join initiators
    left join acts on months.person_id = acts.person_id and months.month_start_on = acts.month_start_on
    window
        past as (partition by months.person_id order by months.month_number rows unbounded preceding),
        recent as (partition by months.person_id order by months.month_number rows between 2 preceding and current row),
        earlier as (partition by months.person_id order by months.month_number rows between 5 preceding and 3 preceding)
)

select
    person_id,
    month_number,
    month_start_on,
    month_end_on,
    has_had_account,
    account_count,
    product_count,
    aum_average,
    {{ month_number('first_account_on') }} as first_account_number,
    case
        when has_had_account and tells_initiator
            then {{ days_between('greatest(last_on, first_account_on, history_from)', 'month_end_on') }}
    end as silent_days,
    case when aum_months = 3 and aum_before_months = 3 then aum_3m end as aum_3m,
    case when aum_months = 3 and aum_before_months = 3 then aum_before_3m end as aum_before_3m,
    case when tells_initiator and before_months = 3 then activity_3m end as activity_3m,
    case when tells_initiator and before_months = 3 then activity_before_3m end as activity_before_3m
from history
