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
    'crm_stated_assets': 'stg_crm_stated_assets',
} %}

with

registered as (
    {% for table in counted -%}
        select
            '{{ table }}' as table_name,
            {{ month_start('known_on') }} as known_month_on,
            count(*) as row_count,
            count(*) filter (where operation = 'delete') as delete_count
        from {{ source('raw', table) }}
        where known_on <= {{ as_of() }}
        group by {{ month_start('known_on') }}
        {{ 'union all' if not loop.last }}
    {% endfor -%}
),

standing as (
    {% for table, model in counted.items() -%}
        select
            '{{ table }}' as table_name,
            {{ month_start('known_on' if model == 'fct_transaction' else 'known_from') }} as known_month_on,
            count(*) as standing_count
        from {{ ref(model) }}
        {{ 'where is_current' if model != 'fct_transaction' }}
        group by {{ month_start('known_on' if model == 'fct_transaction' else 'known_from') }}
        {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select
    coalesce(registered.table_name, standing.table_name) as table_name,
    coalesce(registered.known_month_on, standing.known_month_on) as known_month_on,
    coalesce(registered.row_count, 0) as row_count,
    coalesce(registered.delete_count, 0) as delete_count,
    coalesce(standing.standing_count, 0) as standing_count
from registered
full outer join standing
    on
        registered.table_name = standing.table_name
        and registered.known_month_on = standing.known_month_on
