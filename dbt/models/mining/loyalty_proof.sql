{{ mined_rows(
    'loyalty_proof',
    columns={
        'loyalty_decile': 'bigint',
        'person_count': 'bigint',
        'kept_count': 'bigint',
        'retention_ratio': 'double',
        'lower': 'double',
        'upper': 'double',
        'mean_index': 'double',
        'run_id': 'varchar',
    },
) }}
