{{ mined_rows(
    'churn_evaluation',
    columns={
        'run_id': 'varchar',
        'subject': 'varchar',
        'metric': 'varchar',
        'value': 'double',
        'lower': 'double',
        'upper': 'double',
    },
) }}
