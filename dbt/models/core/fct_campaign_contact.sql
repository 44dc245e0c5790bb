with

listed as (
    select
        targets.campaign_id,
        customers.person_id,
        targets.is_control,
        targets.cost,
        targets.known_from,
        targets.is_known_on_assumed,
        -- what is delivered ahead of its day is not told
        case when targets.contacted_on <= {{ as_of() }} then targets.contacted_at end as contacted_at,
        case when targets.contacted_on <= {{ as_of() }} then targets.contacted_on end as contacted_on,
        case when targets.responded_on <= {{ as_of() }} then targets.responded_at end as responded_at,
        case when targets.responded_on <= {{ as_of() }} then targets.responded_on end as responded_on,
        case when targets.converted_on <= {{ as_of() }} then targets.converted_at end as converted_at,
        case when targets.converted_on <= {{ as_of() }} then targets.converted_on end as converted_on
    from {{ ref('stg_campaign_contacts') }} as targets
    inner join {{ ref('int_customer_named') }} as customers
        on
            targets.customer_source_system = customers.customer_source_system
            and targets.source_customer_id = customers.source_customer_id
    where targets.is_current
)

select
    campaign_id,
    person_id,
    cast(count(*) as integer) as record_count,
    bool_and(is_control) as is_control,
    coalesce(bool_or(is_control) and not bool_and(is_control), false) as is_contaminated,
    min(contacted_at) as contacted_at,
    min(contacted_on) as contacted_on,
    min(responded_at) as responded_at,
    min(responded_on) as responded_on,
    min(converted_at) as converted_at,
    min(converted_on) as converted_on,
    min(contacted_at) is not null as is_contacted,
    min(converted_at) is not null as is_converted,
    cast(sum(cost) as decimal(18, 2)) as cost_base,
    max(known_from) as known_on,
    bool_or(is_known_on_assumed) as is_known_on_assumed
from listed
group by campaign_id, person_id
