with

months as (
    select
        month_start_on,
        calendar_year * 12 + calendar_month as month_number
    from {{ ref('dim_date') }}
    where day_of_month = 1 and month_end_on <= {{ as_of() }}
),

-- money between a person's own accounts neither comes nor goes
booked as (
    select
        account_id,
        booked_month_on,
        seen_month_on,
        gone_month_on,
        count(*) filter (where amount_base is null) as foreign_count,
        sum(amount_base) filter (where amount > 0 and coalesce(counterparty_kind <> 'own', true)) as inflow,
        -sum(amount_base) filter (where amount < 0 and coalesce(counterparty_kind <> 'own', true)) as outflow,
        -sum(amount_base) filter (
            where
            amount < 0
            and (
                counterparty_kind in ('wallet', 'money_fund')
                or (kind = 'transfer' and counterparty_bank is not null and counterparty_kind not in ('own', 'household'))
            )
        ) as external_outflow,
        -sum(amount_base) filter (
            where amount < 0 and kind = 'transfer' and counterparty_bank is not null and counterparty_kind = 'bank'
        ) as other_bank_outflow,
        -min(amount_base) filter (
            where amount < 0 and kind = 'transfer' and counterparty_bank is not null and counterparty_kind = 'bank'
        ) as largest_other_bank_outflow,
        -sum(amount_base) filter (where amount < 0 and counterparty_kind = 'wallet') as wallet_outflow,
        -sum(amount_base) filter (where amount < 0 and counterparty_kind = 'money_fund') as money_fund_outflow,
        sum(amount_base) filter (where amount > 0 and kind = 'wealth_redeem') as wealth_redeemed,
        count(*) filter (where initiated_by = 'customer') as customer_count,
        count(*) filter (where initiated_by = 'customer' and channel is not null) as channel_count,
        count(*) filter (where initiated_by = 'customer' and channel in ('mobile', 'web')) as digital_count,
        count(*) filter (where initiated_by = 'customer' and channel = 'counter') as counter_count,
        count(*) filter (where kind = 'salary' and amount > 0) as salary_count
    from {{ ref('int_transaction_known') }}
    group by account_id, booked_month_on, seen_month_on, gone_month_on
),

-- each month looks back on itself and the six months before it, as far as they are known at its end
seen as (
    select
        accounts.person_id,
        months.month_start_on,
        months.month_number - booked_months.month_number as age_months,
        booked.*
    from booked
    inner join months as booked_months on booked.booked_month_on = booked_months.month_start_on
    inner join months
        on
            months.month_number between booked_months.month_number and booked_months.month_number + 6
            and booked.seen_month_on <= months.month_start_on
            and booked.gone_month_on > months.month_start_on
    inner join {{ ref('int_account_month_known') }} as accounts
        on
            booked.account_id = accounts.account_id
            and months.month_start_on = accounts.month_start_on
)

select
    person_id,
    month_start_on,
    coalesce(sum(foreign_count) filter (where age_months <= 2), 0) as foreign_count_3m,
    coalesce(sum(inflow) filter (where age_months <= 2), 0) as inflow_3m,
    coalesce(sum(outflow) filter (where age_months = 0), 0) as outflow_1m,
    coalesce(sum(outflow) filter (where age_months <= 2), 0) as outflow_3m,
    coalesce(sum(external_outflow) filter (where age_months = 0), 0) as external_outflow_1m,
    coalesce(sum(external_outflow) filter (where age_months <= 2), 0) as external_outflow_3m,
    coalesce(sum(other_bank_outflow) filter (where age_months <= 2), 0) as other_bank_outflow_3m,
    coalesce(max(largest_other_bank_outflow) filter (where age_months <= 2), 0) as largest_other_bank_outflow_3m,
    coalesce(sum(wallet_outflow) filter (where age_months <= 2), 0) as wallet_outflow_3m,
    coalesce(sum(money_fund_outflow) filter (where age_months <= 2), 0) as money_fund_outflow_3m,
    coalesce(sum(wealth_redeemed) filter (where age_months <= 2), 0) as wealth_redeemed_3m,
    coalesce(sum(customer_count) filter (where age_months = 0), 0) as customer_count_1m,
    coalesce(sum(customer_count) filter (where age_months <= 2), 0) as customer_count_3m,
    {{ distinct_small('age_months', 'age_months <= 5 and customer_count > 0') }} as active_months_6m,
    coalesce(sum(channel_count) filter (where age_months <= 2), 0) as channel_count_3m,
    coalesce(sum(digital_count) filter (where age_months <= 2), 0) as digital_count_3m,
    coalesce(sum(counter_count) filter (where age_months <= 2), 0) as counter_count_3m,
    {{ distinct_small('age_months', 'age_months <= 2 and salary_count > 0') }} as salary_months_3m,
    {{ distinct_small('age_months', 'age_months = 0 and salary_count > 0') }} as salary_months_1m,
    {{ distinct_small('age_months', 'age_months >= 1 and salary_count > 0') }} as salary_months_before
from seen
group by person_id, month_start_on
