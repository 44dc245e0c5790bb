with

-- the records of a person in one system add up; what another system states of the same person is a statement of its own
stated as (
    select
        assets.source_system,
        named.person_id,
        assets.as_of as stated_on,
        count(*) as record_count,
        sum(assets.aum) as aum_stated
    from {{ ref('stg_crm_stated_assets') }} as assets
    inner join {{ ref('int_customer_named') }} as named
        on
            assets.customer_source_system = named.customer_source_system
            and assets.source_customer_id = named.source_customer_id
    where assets.is_current and assets.as_of <= {{ as_of() }}
    group by assets.source_system, named.person_id, assets.as_of
),

days as (
    select distinct
        person_id,
        stated_on
    from stated
),

-- accounts count to the month in which they end, as in fct_account_month; before the opening the balance is known to be 0
balances as (
    select
        days.person_id,
        days.stated_on,
        case
            when balances.account_id is null and accounts.balance_basis = 'transactions from opening'
                then cast(0 as decimal(18, 2))
            else balances.balance_base
        end as balance_base
    from days
    inner join {{ ref('dim_account') }} as accounts on days.person_id = accounts.person_id
    left join {{ ref('fct_account_balance') }} as balances
        on
            accounts.account_id = balances.account_id
            and days.stated_on >= balances.valid_from
            and days.stated_on < balances.valid_to
    where
        accounts.is_aum
        and (balances.account_id is not null or accounts.opened_on is null or accounts.opened_on <= days.stated_on)
        and (
            accounts.ended_on is null
            or greatest(accounts.ended_on, accounts.last_booked_on) >= {{ month_start('days.stated_on') }}
        )
),

core as (
    select
        person_id,
        stated_on,
        count(*) filter (where balance_base is null) as account_without_balance_count,
        {{ complete_sum('balance_base', 'true') }} as aum_core
    from balances
    group by person_id, stated_on
),

-- a customer whose record never came and who owns no account here may have accounts under another id
comparable as (
    select person_id
    from {{ ref('dim_account') }}
    where person_id is not null
    union
    select person_id
    from {{ ref('dim_customer') }}
    where not is_inferred
),

-- whoever can be compared and has no asset account has no assets
compared as (
    select
        stated.*,
        comparable.person_id is null as is_unknown,
        coalesce(core.account_without_balance_count, 0) as account_without_balance_count,
        case when core.person_id is null and comparable.person_id is not null then 0 else core.aum_core end as aum_core
    from stated
    left join comparable on stated.person_id = comparable.person_id
    left join core
        on
            stated.person_id = core.person_id
            and stated.stated_on = core.stated_on
)

select
    person_id,
    stated_on,
    source_system,
    cast(record_count as integer) as record_count,
    cast(aum_stated as decimal(18, 2)) as aum_stated_base,
    cast(aum_core as decimal(18, 2)) as aum_core_base,
    cast(account_without_balance_count as integer) as account_without_balance_count,
    cast(aum_stated - aum_core as decimal(18, 2)) as gap_base,
    {{ ratio('(aum_stated - aum_core)', 'aum_core') }} as gap_ratio,
    abs(aum_stated - aum_core) > {{ setting('asset_gap_tolerance') }} as is_above_tolerance,
    case
        when is_unknown then 'the customer was never delivered: which accounts to compare with is not known'
        when aum_core is null then 'the balance of an asset account on that day, or its rate, is not known'
    end as aum_core_absence,
    case
        when is_unknown then '客户记录从未交付，无法确定可比账户'
        when aum_core is null then '当日有资产账户的余额或汇率未知'
    end as aum_core_absence_zh
from compared
