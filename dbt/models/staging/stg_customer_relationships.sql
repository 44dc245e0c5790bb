{{ versions(
    source('raw', 'customer_relationships'),
    keys=[
        'source_system', 'customer_source_system', 'source_customer_id', 'related_source_system', 'related_customer_id',
        'kind', 'valid_from',
    ],
    columns=[
        'customer_source_system',
        'source_customer_id',
        'related_source_system',
        'related_customer_id',
        'kind',
        'share',
        'valid_from',
        'valid_to',
    ],
) }}
