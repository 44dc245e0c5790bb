{% set counted = {
    'branches': 'stg_branches',
    'products': 'stg_products',
    'customers': 'stg_customers',
    'accounts': 'stg_accounts',
    'account_holders': 'stg_account_holders',
    'transactions': 'fct_transaction',
    'loan_status': 'stg_loan_status',
    'balances': 'stg_balances',
    'complaints': 'stg_complaints',
    'market_rates': 'stg_market_rates',
    'employees': 'stg_employees',
    'relationship_assignments': 'stg_relationship_assignments',
    'customer_relationships': 'stg_customer_relationships',
    'contacts': 'stg_contacts',
    'campaigns': 'stg_campaigns',
    'campaign_contacts': 'stg_campaign_contacts',
    'survey_responses': 'stg_survey_responses',
    'payment_schedule': 'stg_payment_schedule',
    'product_nav': 'stg_product_nav',
    'fx_rates': 'stg_fx_rates',
    'ftp_curve': 'stg_ftp_curve',
    'cost_rates': 'stg_cost_rates',
    'gl_balances': 'stg_gl_balances',
} %}

with

registered as (
    {% for table in counted -%}
        select
            '{{ table }}' as table_name,
            count(*) as row_count,
            count(*) filter (where operation = 'delete') as delete_count
        from {{ source('raw', table) }}
        where known_on <= {{ as_of() }}
        {{ 'union all' if not loop.last }}
    {% endfor -%}
),

standing as (
    {% for table, model in counted.items() -%}
        select
            '{{ table }}' as table_name,
            count(*) as standing_count
        from {{ ref(model) }}
        {{ 'where is_current' if model != 'fct_transaction' }}
        {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select
    registered.table_name,
    registered.row_count,
    registered.delete_count,
    standing.standing_count
from registered
inner join standing on registered.table_name = standing.table_name
