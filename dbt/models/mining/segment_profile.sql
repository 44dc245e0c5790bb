{{ mined_rows(
    'segment_profile',
    columns={
        'segment_id': 'bigint',
        'column_name': 'varchar',
        'label_en': 'varchar',
        'label_zh': 'varchar',
        'z_score': 'double',
        'median': 'double',
        'mean': 'double',
        'bank_median': 'double',
        'person_ratio': 'double',
        'run_id': 'varchar',
    },
) }}
