{{ mined_rows(
    'segment_reference',
    columns={
        'segment_id': 'bigint',
        'column_name': 'varchar',
        'bin': 'bigint',
        'upper_edge': 'double',
        'person_count': 'bigint',
        'run_id': 'varchar',
    },
) }}
