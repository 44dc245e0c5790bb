{{ versions(
    source('raw', 'loan_status'),
    keys=['source_system', 'account_id', 'as_of'],
    columns=[
        public_id('source_system', 'account_id') ~ ' as account_id',
        'as_of',
        'days_past_due',
        'overdue_amount',
        'five_class',
        'collateral_value',
        'pd',
        'lgd',
    ],
) }}
