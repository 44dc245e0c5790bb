{{ versions(
    source('raw', 'ftp_curve'),
    keys=['source_system', 'currency', 'rate_on', 'tenor_days'],
    columns=[
        'currency',
        'rate_on',
        'tenor_days',
        'rate',
    ],
) }}
