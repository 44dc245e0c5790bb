{% set rules = [
    ('transaction_of_unknown_account', 'of_unknown_account', 'transactions'),
    ('transaction_before_opening', 'before_opening', 'transactions'),
    ('transaction_after_as_of', 'after_as_of', 'transactions'),
    ('transaction_in_other_currency', 'in_other_currency', 'transactions'),
    ('transaction_known_on_assumed', 'known_on_assumed', 'transactions'),
    ('account_of_unknown_customer', 'of_unknown_customer', 'accounts'),
    ('account_without_owner', 'without_owner', 'accounts'),
    ('account_of_unknown_product', 'of_unknown_product', 'accounts'),
    ('account_without_balance', 'without_balance', 'accounts'),
    ('account_in_foreign_currency', 'in_foreign_currency', 'accounts'),
    ('closed_account_with_balance', 'closed_with_balance', 'accounts'),
    ('customer_known_on_assumed', 'known_on_assumed', 'customers'),
    ('product_of_unclassified_category', 'of_unclassified_category', 'products'),
    ('product_of_several_systems', 'of_several_systems', 'product_systems'),
    ('branch_never_delivered', 'never_delivered', 'branches'),
    ('account_day_not_reconciled', 'not_reconciled', 'account_days'),
] %}

with

transactions as (
    select
        count(*) as checked_count,
        count(*) filter (where accounts.is_inferred) as of_unknown_account,
        count(*) filter (where transactions.booked_on < accounts.opened_on) as before_opening,
        count(*) filter (where transactions.booked_on > {{ as_of() }}) as after_as_of,
        count(*) filter (where transactions.currency <> accounts.currency) as in_other_currency,
        count(*) filter (where transactions.is_known_on_assumed) as known_on_assumed
    from {{ ref('fct_transaction') }} as transactions
    inner join {{ ref('dim_account') }} as accounts on transactions.account_id = accounts.account_id
),

accounts as (
    select
        count(*) as checked_count,
        count(*) filter (where customers.is_inferred) as of_unknown_customer,
        count(*) filter (where accounts.person_id is null) as without_owner,
        count(*) filter (where products.is_inferred) as of_unknown_product,
        count(*) filter (where not accounts.has_balance) as without_balance,
        count(*) filter (where accounts.currency <> '{{ required_setting('base_currency', 'CZK') }}') as in_foreign_currency,
        count(*) filter (where not accounts.is_open and balances.balance_amount <> 0) as closed_with_balance
    from {{ ref('dim_account') }} as accounts
    left join {{ ref('dim_customer') }} as customers on accounts.person_id = customers.person_id and customers.is_current
    left join {{ ref('dim_product') }} as products on accounts.product_code = products.product_code
    left join {{ ref('fct_account_balance') }} as balances on accounts.account_id = balances.account_id and balances.is_current
),

customers as (
    select
        count(*) as checked_count,
        count(*) filter (where is_known_on_assumed) as known_on_assumed
    from {{ ref('dim_customer') }}
    where is_current
),

products as (
    select
        count(*) as checked_count,
        count(*) filter (where category_name is null) as of_unclassified_category
    from {{ ref('dim_product') }}
),

product_systems as (
    select
        count(distinct product_code) as checked_count,
        count(*) - count(distinct product_code) as of_several_systems
    from {{ ref('stg_products') }}
    where is_current
),

branches as (
    select
        count(*) as checked_count,
        count(*) filter (where is_inferred) as never_delivered
    from {{ ref('dim_branch') }}
),

account_days as (
    select
        count(*) as checked_count,
        count(*) filter (where not is_reconciled) as not_reconciled
    from {{ ref('account_day_reconciliation') }}
),

counts as (
    {% for rule, column, rows in rules -%}
        select
            '{{ rule }}' as rule,
            {{ column }} as failing_count,
            checked_count
        from {{ rows }}
        union all
    {% endfor -%}
    select
        rule,
        failing_count,
        checked_count
    from {{ ref('int_quality_star') }}
)

select
    rules.rule,
    rules.severity,
    rules.subject,
    rules.endangers,
    counts.failing_count,
    counts.checked_count,
    rules.meaning_en,
    rules.meaning_zh
from counts
inner join {{ ref('quality_rules') }} as rules on counts.rule = rules.rule
