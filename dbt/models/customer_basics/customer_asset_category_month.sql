with

categories as (
    select
        category,
        coalesce(aum_category, category) as asset_category
    from {{ ref('product_categories') }}
    where valid_from <= {{ as_of() }} and {{ as_of() }} < valid_to
),

account_months as (
    select
        account_months.*,
        accounts.person_id,
        accounts.is_lum,
        coalesce(categories.asset_category, 'unclassified') as asset_category,
        accounts.ended_on is null
        or accounts.ended_on > least({{ month_end('account_months.month_start_on') }}, {{ as_of() }}) as is_open
    from {{ ref('fct_account_month') }} as account_months
    inner join {{ ref('dim_account') }} as accounts on account_months.account_id = accounts.account_id
    left join categories on accounts.category = categories.category
    where accounts.person_id is not null and (accounts.is_aum or accounts.is_lum)
),

summed as (
    select
        person_id,
        month_start_on,
        asset_category,
        is_lum,
        count(*) filter (where is_open) as account_count,
        {{ complete_sum('average_balance_base', 'true') }} as average,
        {{ complete_sum('closing_balance_base', 'true') }} as period_end
    from account_months
    group by person_id, month_start_on, asset_category, is_lum
)

select
    person_id,
    month_start_on,
    asset_category,
    case when is_lum then 'lum' else 'aum' end as asset_side,
    cast(account_count as integer) as account_count,
    cast(case when is_lum then -average else average end as decimal(18, 2)) as average_base,
    cast(case when is_lum then -period_end else period_end end as decimal(18, 2)) as period_end_base
from summed
