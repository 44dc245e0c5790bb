{{ versions(
    source('raw', 'account_holders'),
    keys=['source_system', 'account_id', 'customer_source_system', 'source_customer_id'],
    columns=[
        public_id('source_system', 'account_id') ~ ' as account_id',
        'customer_source_system',
        'source_customer_id',
        'role',
        'share',
    ],
) }}
