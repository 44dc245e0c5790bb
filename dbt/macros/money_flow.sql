{#
    The component of the money-flow ledger (domain: customer-month, change of balance) that a posting belongs to. The first
    that fits counts, so every posting is in exactly one; what none describes is unclassified, and stays visible as such.

    own_products, household, interest_and_fees, market_value, income, spending, external_bank, external_wallet,
    external_money_fund, unclassified
#}
{% macro money_flow_component(amount, kind, counterparty_kind, counterparty_bank) -%}
    case
        when {{ kind }} in ('interest', 'penalty_interest', 'dividend', 'fee', 'tax') then 'interest_and_fees'
        when {{ kind }} = 'revaluation' then 'market_value'
        when {{ counterparty_kind }} = 'own' then 'own_products'
        when {{ counterparty_kind }} = 'household' then 'household'
        when {{ counterparty_kind }} = 'wallet' then 'external_wallet'
        when {{ counterparty_kind }} = 'money_fund' then 'external_money_fund'
        when {{ kind }} in ('salary', 'pension') or {{ counterparty_kind }} = 'employer' then 'income'
        when
            {{ kind }} in ('wealth_buy', 'wealth_redeem', 'loan_drawdown', 'loan_repayment', 'insurance_premium')
            and {{ counterparty_kind }} is null and {{ counterparty_bank }} is null
            then 'own_products'
        when
            {{ kind }} in ('transfer', 'wealth_buy', 'wealth_redeem', 'loan_drawdown', 'loan_repayment')
            and ({{ counterparty_bank }} is not null or {{ counterparty_kind }} = 'bank')
            then 'external_bank'
        when
            {{ kind }} in ('deposit', 'withdrawal', 'payment', 'purchase', 'insurance_premium')
            or {{ counterparty_kind }} = 'merchant'
            then case when {{ amount }} > 0 then 'income' else 'spending' end
        else 'unclassified'
    end
{%- endmacro %}

{# The components in the order in which the ledger shows them. #}
{% macro money_flow_components() -%}
    {{ return([
        'own_products', 'household', 'interest_and_fees', 'market_value', 'income', 'spending',
        'external_bank', 'external_wallet', 'external_money_fund', 'unclassified',
    ]) }}
{%- endmacro %}

{# Which part of a person's position an account belongs to. #}
{% macro position_side(is_aum, is_lum) -%}
    case when {{ is_aum }} then 'aum' when {{ is_lum }} then 'lum' else 'other' end
{%- endmacro %}
