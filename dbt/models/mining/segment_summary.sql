{{ mined_rows(
    'segment_summary',
    columns={
        'segment_id': 'bigint',
        'name_en': 'varchar',
        'name_zh': 'varchar',
        'contrast_en': 'varchar',
        'contrast_zh': 'varchar',
        'is_new': 'boolean',
        'person_count': 'bigint',
        'person_ratio': 'double',
        'stability': 'double',
        'stability_class': 'varchar',
        'silhouette': 'double',
        'run_id': 'varchar',
    },
) }}
