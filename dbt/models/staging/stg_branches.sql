{{ versions(
    source('raw', 'branches'),
    keys=['source_system', 'branch_id'],
    columns=[
        public_id('source_system', 'branch_id') ~ ' as branch_id',
        'name',
        'level',
        public_id('source_system', 'parent_branch_id') ~ ' as parent_branch_id',
        'city',
        'region',
        'opened_on',
        'closed_on',
    ],
) }}
