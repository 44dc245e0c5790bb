{{ versions(
    source('raw', 'crm_stated_assets'),
    keys=['source_system', 'customer_source_system', 'source_customer_id', 'as_of'],
    columns=[
        'customer_source_system',
        'source_customer_id',
        'as_of',
        'aum',
    ],
) }}
