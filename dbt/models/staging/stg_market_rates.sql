{{ versions(
    source('raw', 'market_rates'),
    keys=['source_system', 'rate_on', 'kind', 'category', 'tenor_days'],
    columns=[
        'rate_on',
        'kind',
        'category',
        'tenor_days',
        'rate',
    ],
) }}
