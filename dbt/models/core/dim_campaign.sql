with

stated as (
    select *
    from {{ ref('stg_campaigns') }}
    where is_last
),

named as (
    select distinct campaign_id
    from {{ ref('stg_campaign_contacts') }}
    where is_current
)

select
    coalesce(stated.campaign_id, named.campaign_id) as campaign_id,
    stated.name,
    stated.product_code,
    stated.channel,
    stated.approach,
    stated.starts_on,
    stated.ends_on,
    stated.budget as budget_base,
    {{ as_of() }} between stated.starts_on and stated.ends_on as is_running,
    coalesce(not stated.is_current, false) as is_deleted,
    stated.campaign_id is null as is_inferred,
    coalesce(stated.is_known_on_assumed, false) as is_known_on_assumed
from stated
full outer join named on stated.campaign_id = named.campaign_id
