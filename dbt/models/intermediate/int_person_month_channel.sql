with

uses as (
    select
        accounts.person_id,
        {{ month_number('transactions.booked_on') }} as month_number,
        transactions.channel,
        count(*) as use_count
    from {{ ref('fct_transaction') }} as transactions
    inner join {{ ref('dim_account') }} as accounts on transactions.account_id = accounts.account_id
    where
        transactions.initiated_by = 'customer'
        and transactions.channel is not null
        and transactions.booked_on <= {{ as_of() }}
        and accounts.person_id is not null
    group by accounts.person_id, {{ month_number('transactions.booked_on') }}, transactions.channel
),

ages as (
    select distinct calendar_month - 1 as age_months
    from {{ ref('dim_date') }}
    where calendar_month <= 3
)

select
    uses.person_id,
    uses.month_number + ages.age_months as month_number,
    uses.channel as main_channel
from uses
cross join ages
group by uses.person_id, uses.month_number + ages.age_months, uses.channel
qualify
    row_number() over (
        partition by uses.person_id, uses.month_number + ages.age_months
        order by sum(uses.use_count) desc, uses.channel asc
    ) = 1
