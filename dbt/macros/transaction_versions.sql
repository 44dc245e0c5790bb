{# The versions of transactions; `touched` limits them to some keys, for the incremental fact. #}
{% macro transaction_versions(touched=none) -%}
    {{ versions(
        source('raw', 'transactions'),
        keys=['source_system', 'transaction_id'],
        columns=[
            public_id('source_system', 'transaction_id') ~ ' as transaction_id',
            public_id('source_system', 'account_id') ~ ' as account_id',
            'posted_at',
            bank_date('posted_at') ~ ' as booked_on',
            'value_on',
            'currency',
            public_id('source_system', 'reverses_transaction_id') ~ ' as reverses_transaction_id',
            'amount',
            'kind',
            'channel',
            public_id('source_system', 'branch_id') ~ ' as branch_id',
            'initiated_by',
            'counterparty_bank',
            'counterparty_kind',
            'merchant_category',
            'place_city',
            'fee_amount',
            'balance_after',
        ],
        touched=touched,
    ) }}
{%- endmacro %}
