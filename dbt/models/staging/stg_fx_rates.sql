{{ versions(
    source('raw', 'fx_rates'),
    keys=['source_system', 'currency', 'rate_on'],
    columns=[
        'currency',
        'rate_on',
        'middle_rate',
    ],
) }}
