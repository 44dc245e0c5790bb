{{ mined_rows(
    'loyalty_measure',
    columns={
        'run_id': 'varchar',
        'measure_number': 'bigint',
        'measure': 'varchar',
        'label_en': 'varchar',
        'label_zh': 'varchar',
        'is_available': 'boolean',
        'absence_en': 'varchar',
        'absence_zh': 'varchar',
        'coverage_ratio': 'double',
        'weight_business': 'double',
        'weight_ahp': 'double',
        'weight_entropy': 'double',
        'weight_used': 'double',
        'ahp_consistency_ratio': 'double',
    },
) }}
