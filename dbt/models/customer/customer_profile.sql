{%- set unknown_to_segments = {'en': 'nothing is known of what makes the segments', 'zh': '构成分群的各项特征均无数据'} -%}
{%- set too_few_measures = {'en': 'too few measures of loyalty are known', 'zh': '可得的忠诚度度量过少'} -%}
{%- set no_rule = {'en': 'no rule applies', 'zh': '无适用规则'} -%}
with

persons as (
    select *
    from {{ ref('dim_customer') }}
    where is_current
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
    churn.churn_probability,
    churn.churn_risk_decile,
    churn.is_on_churn_list,
    churn.churn_expected_loss_base,
    churn.churn_reason_1,
    churn.churn_reason_1_zh,
    churn.churn_reason_2,
    churn.churn_reason_2_zh,
    churn.churn_reason_3,
    churn.churn_reason_3_zh,
    churn.churn_as_of,
    churn.churn_age_days,
    churn.churn_absence,
    churn.churn_absence_zh,
    churn.dormancy_probability,
    churn.dormancy_risk_decile,
    churn.dormancy_as_of,
    churn.dormancy_age_days,
    churn.dormancy_absence,
    churn.dormancy_absence_zh,
    rules.rule_id as top_rule_id,
    rules.consequent as top_rule_product_code,
    rules.sentence_en as top_rule,
    rules.sentence_zh as top_rule_zh,
    {{ absence_of('association', 'rules.rule_id', no_rule, of_account=false) }} as top_rule_absence,
    {{ absence_of('association', 'rules.rule_id', no_rule, language='zh', of_account=false) }} as top_rule_absence_zh
from persons
left join {{ ref('int_person_last_month') }} as months on persons.person_id = months.person_id
left join bands
    on
        coalesce(months.aum_average >= bands.aum_from, months.aum_average is not null and bands.aum_from is null)
        and coalesce(months.aum_average < bands.aum_below, bands.aum_below is null)
left join segments on persons.person_id = segments.person_id
left join loyalty on persons.person_id = loyalty.person_id
left join {{ ref('int_person_churn') }} as churn on persons.person_id = churn.person_id
left join {{ ref('customer_rule') }} as rules on persons.person_id = rules.person_id
left join {{ ref('int_miner_last_run') }} as segmentation on segmentation.miner = 'segmentation'
left join {{ ref('int_miner_last_run') }} as loyalty_run on loyalty_run.miner = 'loyalty'
left join {{ ref('int_miner_last_run') }} as association on association.miner = 'association'
