{{ mined_rows(
    'segment_lineage',
    columns={
        'event': 'varchar',
        'segment_id': 'bigint',
        'other_segment_id': 'bigint',
        'person_count': 'bigint',
        'overlap_ratio': 'double',
        'run_id': 'varchar',
    },
) }}
