{{ versions(
    source('raw', 'payment_schedule'),
    keys=['source_system', 'account_id', 'due_on'],
    columns=[
        public_id('source_system', 'account_id') ~ ' as account_id',
        'due_on',
        'due_amount',
        'paid_on',
        'paid_amount',
    ],
) }}
