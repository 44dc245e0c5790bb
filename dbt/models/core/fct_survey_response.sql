with

-- an answer that is delivered ahead of its day is not told
responses as (
    select
        *,
        coalesce(responded_on <= {{ as_of() }}, false) as is_answered
    from {{ ref('stg_survey_responses') }}
    where is_current
),

told as (
    select
        responses.response_id,
        responses.item,
        customers.person_id,
        responses.survey,
        responses.dimension,
        responses.invited_at,
        responses.invited_on,
        case when responses.is_answered then responses.responded_at end as responded_at,
        case when responses.is_answered then responses.responded_on end as responded_on,
        responses.is_answered,
        case when responses.is_answered then responses.expectation end as expectation_score,
        case when responses.is_answered then responses.perception end as perception_score,
        case when responses.is_answered then responses.nps end as recommendation_score,
        case when responses.followed_up_on <= {{ as_of() }} then responses.followed_up_on end as followed_up_on,
        case when responses.is_answered then responses.action end as action,
        responses.known_from as known_on,
        responses.is_known_on_assumed
    from responses
    inner join {{ ref('int_customer_named') }} as customers
        on
            responses.customer_source_system = customers.customer_source_system
            and responses.source_customer_id = customers.source_customer_id
)

select
    response_id,
    item,
    person_id,
    survey,
    dimension,
    invited_at,
    invited_on,
    responded_at,
    responded_on,
    is_answered,
    expectation_score,
    perception_score,
    perception_score - expectation_score as gap_score,
    recommendation_score,
    case
        when recommendation_score >= 9 then 'promoter'
        when recommendation_score >= 7 then 'passive'
        when recommendation_score >= 0 then 'detractor'
    end as recommendation_group,
    followed_up_on,
    action,
    known_on,
    is_known_on_assumed
from told
