with

accounts as (
    select
        facts.person_id,
        facts.month_start_on,
        bool_or(accounts.is_aum) as has_asset_account,
        bool_or(accounts.is_lum) as has_loan_account,
        bool_or(accounts.currency = '{{ required_setting('base_currency', 'CZK') }}') as has_local,
        bool_or(accounts.currency <> '{{ required_setting('base_currency', 'CZK') }}') as has_foreign
    from {{ ref('int_person_month') }} as facts
    inner join {{ ref('dim_account') }} as accounts
        on
            facts.person_id = accounts.person_id
            and facts.month_end_on >= coalesce(accounts.opened_on, accounts.first_booked_on)
            and coalesce(facts.month_end_on < accounts.ended_on, true)
    group by facts.person_id, facts.month_start_on
),

persons as (
    select
        person_id,
        max(party_type) filter (where is_current) as party_type
    from {{ ref('dim_customer') }}
    group by person_id
),

-- a balance that is not known does not speak; then the account does
sides as (
    select
        months.person_id,
        months.month_start_on,
        months.has_had_account,
        months.account_count > 0 as has_account,
        coalesce(months.aum_average > 0, coalesce(accounts.has_asset_account, false)) as is_depositor,
        coalesce(months.lum_average > 0, coalesce(accounts.has_loan_account, false)) as is_borrower,
        coalesce(accounts.has_local, false) as has_local,
        coalesce(accounts.has_foreign, false) as has_foreign,
        coalesce(persons.party_type, 'unknown') as party_type,
        coalesce(bands.is_high_end, false) as is_high_end
    from {{ ref('int_person_month') }} as months
    left join accounts on months.person_id = accounts.person_id and months.month_start_on = accounts.month_start_on
    left join persons on months.person_id = persons.person_id
    left join {{ ref('int_person_month_tier') }} as tiers
        on
            months.person_id = tiers.person_id
            and months.month_number = tiers.month_number
    left join {{ ref('tier_bands') }} as bands
        on
            tiers.tier_rank = bands.tier_rank
            and months.month_end_on >= bands.valid_from
            and months.month_end_on < bands.valid_to
)

select
    person_id,
    month_start_on,
    party_type,
    case
        when is_depositor and is_borrower then 'both'
        when is_depositor then 'depositor'
        when is_borrower then 'borrower'
        when has_account then 'service_only'
        else 'none'
    end as business_type,
    case
        when has_local and has_foreign then 'both'
        when has_foreign then 'foreign'
        when has_local then 'local'
        else 'none'
    end as currency_type,
    case
        when not has_had_account then 'prospect'
        when is_high_end then 'high_end'
        else 'ordinary'
    end as value_type
from sides
