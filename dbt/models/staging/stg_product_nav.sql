{{ versions(
    source('raw', 'product_nav'),
    keys=['source_system', 'product_code', 'nav_on'],
    columns=[
        'product_code',
        'nav_on',
        'nav',
    ],
) }}
