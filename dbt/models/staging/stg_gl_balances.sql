{{ versions(
    source('raw', 'gl_balances'),
    keys=['source_system', 'branch_id', 'product_code', 'month'],
    columns=[
        public_id('source_system', 'branch_id') ~ ' as branch_id',
        'product_code',
        'month as month_start_on',
        'balance',
        'income',
        'cost',
    ],
) }}
