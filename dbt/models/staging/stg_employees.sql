{{ versions(
    source('raw', 'employees'),
    keys=['source_system', 'employee_id'],
    columns=[
        public_id('source_system', 'employee_id') ~ ' as employee_id',
        public_id('source_system', 'branch_id') ~ ' as branch_id',
        'role',
        'grade',
        'discount_limit',
        'hired_on',
        'left_on',
    ],
) }}
