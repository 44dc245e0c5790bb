{#- Reasons are columns of the scores; here they are rows. -#}
with

scores as (
    {{ churn_rows(
        'score',
        columns={
            'run_id': 'varchar',
            'person_id': 'varchar',
            'reason_1_column': 'varchar',
            'reason_1_effect': 'double',
            'reason_1_en': 'varchar',
            'reason_1_zh': 'varchar',
            'reason_2_column': 'varchar',
            'reason_2_effect': 'double',
            'reason_2_en': 'varchar',
            'reason_2_zh': 'varchar',
            'reason_3_column': 'varchar',
            'reason_3_effect': 'double',
            'reason_3_en': 'varchar',
            'reason_3_zh': 'varchar',
        },
    ) | indent(4) }}
),

reasons as (
    {% for rank in [1, 2, 3] -%}
        select
            definition,
            run_id,
            person_id,
            {{ rank }} as reason_rank,
            reason_{{ rank }}_column as column_name,
            reason_{{ rank }}_effect as effect,
            reason_{{ rank }}_en as reason_en,
            reason_{{ rank }}_zh as reason_zh
        from scores
        {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select
    definition,
    run_id,
    person_id,
    cast(reason_rank as integer) as reason_rank,
    column_name,
    effect,
    reason_en,
    reason_zh
from reasons
where column_name is not null
