{%- set unknown_to_segments = {'en': 'nothing is known of what makes the segments', 'zh': '构成分群的各项特征均无数据'} -%}
{%- set too_few_measures = {'en': 'too few measures of loyalty are known', 'zh': '可得的忠诚度度量过少'} -%}
{%- set not_scored = {'en': 'not scored by the model in force', 'zh': '现行模型未对其评分'} -%}
{%- set no_rule = {'en': 'no rule applies', 'zh': '无适用规则'} -%}
with

persons as (
    select *
    from {{ ref('dim_customer') }}
    where is_current
),

last_months as (
    select
        *,
        month_start_on = max(month_start_on) over () as is_last_month
    from {{ ref('mining_features_customer_month') }}
    qualify row_number() over (partition by person_id order by month_start_on desc) = 1
),

last_runs as (
    select
        miner,
        status,
        reason_en,
        reason_zh,
        max(case when status = 'published' then 1 else 0 end) over (partition by miner) = 1 as has_model
    from {{ ref('model_run') }}
    qualify row_number() over (partition by miner order by as_of desc, status desc, run_id asc) = 1
),

bands as (
    select *
    from {{ ref('tier_bands') }}
    where valid_from <= {{ as_of() }} and {{ as_of() }} < valid_to
),

segments as (
    select
        assignments.person_id,
        assignments.segment_id,
        segments.name_en,
        segments.name_zh,
        runs.as_of
    from {{ ref('segment_assignment') }} as assignments
    inner join {{ ref('segment') }} as segments
        on
            assignments.run_id = segments.run_id
            and assignments.segment_id = segments.segment_id
    inner join {{ ref('model_run') }} as runs on assignments.run_id = runs.run_id
),

loyalty as (
    select
        scores.*,
        runs.as_of
    from {{ ref('loyalty_score') }} as scores
    inner join {{ ref('model_run') }} as runs on scores.run_id = runs.run_id
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
    persons.party_type,
    persons.gender,
    persons.birth_year,
    persons.age_band,
    persons.city,
    persons.region,
    persons.education,
    persons.occupation,
    persons.risk_profile,
    persons.registered_branch_id,
    persons.registered_on,
    persons.is_employee,
    persons.is_deceased,
    months.month_start_on,
    months.accounts_open,
    months.products_held,
    months.tenure_months,
    months.days_since_last_customer_transaction,
    months.aum_average as aum_average_base,
    months.aum_end as aum_period_end_base,
    months.lum_end as lum_period_end_base,
    bands.tier as aum_band,
    bands.name_en as aum_band_name,
    bands.name_zh as aum_band_name_zh,
    segments.segment_id,
    segments.name_en as segment_name,
    segments.name_zh as segment_name_zh,
    segments.as_of as segment_as_of,
    {{ days_between('segments.as_of', as_of()) }} as segment_age_days,
    {{ absence_of('segmentation', 'segments.segment_id', unknown_to_segments) }} as segment_absence,
    {{ absence_of('segmentation', 'segments.segment_id', unknown_to_segments, language='zh') }} as segment_absence_zh,
    loyalty.loyalty_index,
    cast(loyalty.loyalty_decile as integer) as loyalty_decile,
    loyalty.level_en as loyalty_level,
    loyalty.level_zh as loyalty_level_zh,
    loyalty.is_proven as is_loyalty_proven,
    loyalty.as_of as loyalty_as_of,
    {{ days_between('loyalty.as_of', as_of()) }} as loyalty_age_days,
    {{ absence_of('loyalty_run', 'loyalty.loyalty_index', too_few_measures) }} as loyalty_absence,
    {{ absence_of('loyalty_run', 'loyalty.loyalty_index', too_few_measures, language='zh') }} as loyalty_absence_zh,
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
    ) as dormancy_absence_zh,
    rules.rule_id as top_rule_id,
    rules.consequent as top_rule_product_code,
    rules.sentence_en as top_rule,
    rules.sentence_zh as top_rule_zh,
    {{ absence_of('association', 'rules.rule_id', no_rule, of_account=false) }} as top_rule_absence,
    {{ absence_of('association', 'rules.rule_id', no_rule, language='zh', of_account=false) }} as top_rule_absence_zh
from persons
left join last_months as months on persons.person_id = months.person_id
left join bands
    on
        coalesce(months.aum_average >= bands.aum_from, months.aum_average is not null and bands.aum_from is null)
        and coalesce(months.aum_average < bands.aum_below, bands.aum_below is null)
left join segments on persons.person_id = segments.person_id
left join loyalty on persons.person_id = loyalty.person_id
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
left join {{ ref('customer_rule') }} as rules on persons.person_id = rules.person_id
left join last_runs as segmentation on segmentation.miner = 'segmentation'
left join last_runs as loyalty_run on loyalty_run.miner = 'loyalty'
left join last_runs as churn_run on churn_run.miner = 'churn_closure_or_drop'
left join last_runs as dormancy_run on dormancy_run.miner = 'churn_dormancy'
left join last_runs as association on association.miner = 'association'
