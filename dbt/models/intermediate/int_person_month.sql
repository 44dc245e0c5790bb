with

months as (
    select
        month_start_on,
        month_end_on,
        calendar_year * 12 + calendar_month as month_number,
        row_number() over (order by month_start_on) = 1 as is_first_of_history
    from {{ ref('dim_date') }}
    where
        day_of_month = 1
        and month_end_on <= {{ as_of() }}
        and month_start_on >= (select min(facts.month_start_on) from {{ ref('fct_customer_month') }} as facts)
),

accounts as (
    select
        person_id,
        min(coalesce(opened_on, first_booked_on)) as first_account_on
    from {{ ref('dim_account') }}
    where person_id is not null
    group by person_id
),

-- a prospect is known from the registration on, whoever has an account from it at the latest
persons as (
    select
        customers.person_id,
        accounts.first_account_on,
        least(min(coalesce(customers.registered_on, customers.valid_from)), accounts.first_account_on) as first_known_on
    from {{ ref('dim_customer') }} as customers
    left join accounts on customers.person_id = accounts.person_id
    group by customers.person_id, accounts.first_account_on
)

select
    persons.person_id,
    months.month_start_on,
    months.month_end_on,
    months.month_number,
    months.is_first_of_history,
    persons.first_account_on,
    coalesce(persons.first_account_on <= months.month_end_on, false) as has_had_account,
    coalesce(facts.account_count, 0) as account_count,
    coalesce(facts.product_count, 0) as product_count,
    coalesce(facts.customer_initiated_count, 0) as customer_initiated_count,
    case when facts.person_id is null then 0 else facts.aum_average_base end as aum_average,
    case when facts.person_id is null then 0 else facts.lum_average_base end as lum_average
from persons
inner join months on persons.first_known_on <= months.month_end_on
left join {{ ref('fct_customer_month') }} as facts
    on
        persons.person_id = facts.person_id
        and months.month_start_on = facts.month_start_on
