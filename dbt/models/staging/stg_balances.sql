{{ versions(
    source('raw', 'balances'),
    keys=['source_system', 'account_id', 'balance_on'],
    columns=[
        public_id('source_system', 'account_id') ~ ' as account_id',
        'balance_on',
        'balance',
        'units',
    ],
) }}
