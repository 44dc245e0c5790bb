{{ versions(
    source('raw', 'cost_rates'),
    keys=['source_system', 'driver', 'channel', 'valid_from'],
    columns=[
        'driver',
        'channel',
        'valid_from',
        'unit_cost',
    ],
) }}
