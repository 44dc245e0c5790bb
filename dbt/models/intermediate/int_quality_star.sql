{% set rules = [
    ('instalment_of_unknown_account', 'of_unknown_account', 'instalments'),
    ('event_of_unknown_customer', 'of_unknown_customer', 'events'),
    ('employee_never_delivered', 'never_delivered', 'employees'),
    ('campaign_never_delivered', 'never_delivered', 'campaigns'),
    ('person_in_both_groups_of_campaign', 'in_both_groups', 'targets'),
    ('flow_unclassified', 'unclassified', 'flows'),
    ('day_without_bank_calendar', 'without_calendar', 'days'),
    ('crm_assets_differ_from_core', 'differing', 'gaps'),
] %}

with

instalments as (
    select
        count(*) as checked_count,
        count(*) filter (where accounts.is_inferred) as of_unknown_account
    from {{ ref('fct_payment_due') }} as dues
    inner join {{ ref('dim_account') }} as accounts on dues.account_id = accounts.account_id
),

events as (
    select
        count(*) as checked_count,
        count(*) filter (where customers.is_inferred) as of_unknown_customer
    from (
        select person_id from {{ ref('fct_contact') }}
        union all
        select person_id from {{ ref('fct_complaint') }}
        union all
        select person_id from {{ ref('fct_survey_response') }}
        union all
        select person_id from {{ ref('fct_campaign_contact') }}
        union all
        select person_id from {{ ref('customer_asset_gap') }}
    ) as named
    inner join {{ ref('dim_customer') }} as customers on named.person_id = customers.person_id and customers.is_current
),

employees as (
    select
        count(*) as checked_count,
        count(*) filter (where is_inferred) as never_delivered
    from {{ ref('dim_employee') }}
    where is_current
),

campaigns as (
    select
        count(*) as checked_count,
        count(*) filter (where is_inferred) as never_delivered
    from {{ ref('dim_campaign') }}
),

targets as (
    select
        count(*) as checked_count,
        count(*) filter (where is_contaminated) as in_both_groups
    from {{ ref('fct_campaign_contact') }}
),

flows as (
    select
        coalesce(sum(transaction_count), 0) as checked_count,
        coalesce(sum(unclassified_count), 0) as unclassified
    from {{ ref('customer_money_flow_month') }}
),

days as (
    select
        count(*) as checked_count,
        count(*) filter (where is_workday is null) as without_calendar
    from {{ ref('dim_date') }}
    where is_known
),

gaps as (
    select
        count(aum_core_base) as checked_count,
        count(*) filter (where is_above_tolerance) as differing
    from {{ ref('customer_asset_gap') }}
),

counts as (
    {% for rule, column, rows in rules -%}
        select
            '{{ rule }}' as rule,
            cast({{ column }} as bigint) as failing_count,
            cast(checked_count as bigint) as checked_count
        from {{ rows }}
        {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select *
from counts
