{{ mined_rows(
    'churn_score',
    columns={
        'person_id': 'varchar',
        'month_on': 'date',
        'run_id': 'varchar',
        'model_id': 'varchar',
        'probability': 'double',
        'risk_rank': 'bigint',
        'risk_decile': 'bigint',
        'is_listed': 'boolean',
        'value_at_stake': 'double',
        'expected_loss': 'double',
    },
) }}
