{{ mined_rows(
    'segment',
    columns={
        'person_id': 'varchar',
        'run_id': 'varchar',
        'segment_id': 'bigint',
        'centre_distance': 'double',
        'next_segment_id': 'bigint',
        'next_distance': 'double',
    },
) }}
