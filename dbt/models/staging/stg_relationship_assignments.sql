{{ versions(
    source('raw', 'relationship_assignments'),
    keys=['source_system', 'customer_source_system', 'source_customer_id', 'employee_id', 'valid_from'],
    columns=[
        'customer_source_system',
        'source_customer_id',
        public_id('source_system', 'employee_id') ~ ' as employee_id',
        'valid_from',
        'valid_to',
        'reason',
        'customer_agreed_on',
    ],
) }}
