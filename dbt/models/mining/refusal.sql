{{ mined_rows(
    'refusal',
    columns={
        'run_id': 'varchar',
        'code': 'varchar',
        'sentence_en': 'varchar',
        'sentence_zh': 'varchar',
        'found': 'varchar',
        'needed': 'varchar',
    },
) }}
