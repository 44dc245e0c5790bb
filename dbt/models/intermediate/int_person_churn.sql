{{ config(tags=['mined']) }}
{%- set not_scored = {'en': 'not scored by the model in force', 'zh': '现行模型未对其评分'} -%}
with

persons as (
    select person_id
    from {{ ref('dim_customer') }}
    where is_current
),

-- the first definition decides the list; dormancy stands beside it
churn as (
    select
        scores.*,
        runs.as_of
    from {{ ref('churn_score') }} as scores
    inner join {{ ref('model_run') }} as runs on scores.run_id = runs.run_id
    where scores.definition = 'closure_or_drop'
),

dormancy as (
    select
        scores.*,
        runs.as_of
    from {{ ref('churn_score') }} as scores
    inner join {{ ref('model_run') }} as runs on scores.run_id = runs.run_id
    where scores.definition = 'dormancy'
),

reasons as (
    select
        person_id,
    {%- for rank in [1, 2, 3] %}
        max(reason_en) filter (where reason_rank = {{ rank }}) as reason_{{ rank }}_en,
        max(reason_zh) filter (where reason_rank = {{ rank }}) as reason_{{ rank }}_zh{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('churn_reason') }}
    where definition = 'closure_or_drop'
    group by person_id
)

select
    persons.person_id,
    churn.probability as churn_probability,
    cast(churn.risk_decile as integer) as churn_risk_decile,
    churn.is_listed as is_on_churn_list,
    churn.expected_loss as churn_expected_loss_base,
    reasons.reason_1_en as churn_reason_1,
    reasons.reason_1_zh as churn_reason_1_zh,
    reasons.reason_2_en as churn_reason_2,
    reasons.reason_2_zh as churn_reason_2_zh,
    reasons.reason_3_en as churn_reason_3,
    reasons.reason_3_zh as churn_reason_3_zh,
    churn.as_of as churn_as_of,
    {{ days_between('churn.as_of', as_of()) }} as churn_age_days,
    coalesce(churn_exclusions.exclusion_en, {{ absence_of('churn_run', 'churn.probability', not_scored) }}) as churn_absence,
    coalesce(
        churn_exclusions.exclusion_zh, {{ absence_of('churn_run', 'churn.probability', not_scored, language='zh') }}
    ) as churn_absence_zh,
    dormancy.probability as dormancy_probability,
    cast(dormancy.risk_decile as integer) as dormancy_risk_decile,
    dormancy.as_of as dormancy_as_of,
    {{ days_between('dormancy.as_of', as_of()) }} as dormancy_age_days,
    coalesce(dormancy_exclusions.exclusion_en, {{ absence_of('dormancy_run', 'dormancy.probability', not_scored) }}) as dormancy_absence,
    coalesce(
        dormancy_exclusions.exclusion_zh, {{ absence_of('dormancy_run', 'dormancy.probability', not_scored, language='zh') }}
    ) as dormancy_absence_zh
from persons
left join {{ ref('int_person_last_month') }} as months on persons.person_id = months.person_id
left join churn on persons.person_id = churn.person_id
left join dormancy on persons.person_id = dormancy.person_id
left join {{ ref('churn_exclusion') }} as churn_exclusions
    on
        persons.person_id = churn_exclusions.person_id
        and churn_exclusions.definition = 'closure_or_drop'
left join {{ ref('churn_exclusion') }} as dormancy_exclusions
    on
        persons.person_id = dormancy_exclusions.person_id
        and dormancy_exclusions.definition = 'dormancy'
left join reasons on churn.person_id = reasons.person_id
left join {{ ref('int_miner_last_run') }} as churn_run on churn_run.miner = 'churn_closure_or_drop'
left join {{ ref('int_miner_last_run') }} as dormancy_run on dormancy_run.miner = 'churn_dormancy'
