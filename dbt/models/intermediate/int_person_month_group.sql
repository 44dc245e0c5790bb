-- who has no account at a month's end stands outside; what is not known of a customer is a group of its own
select
    months.person_id,
    months.month_number,
    months.month_start_on,
    months.account_count > 0 as is_customer,
    months.aum_average,
    coalesce(bands.tier, 'unknown') as tier,
    stages.stage as lifecycle_stage,
    coalesce(age_bands.age_band, 'unknown') as age_band,
    coalesce(customers.region, 'unknown') as region,
    coalesce(channels.main_channel, 'none') as channel,
    coalesce(customers.registered_branch_id, 'unknown') as branch
from {{ ref('int_person_month') }} as months
inner join {{ ref('int_person_month_stage') }} as stages
    on
        months.person_id = stages.person_id
        and months.month_number = stages.month_number
inner join {{ ref('int_person_month_tier') }} as tiers
    on
        months.person_id = tiers.person_id
        and months.month_number = tiers.month_number
left join {{ ref('tier_bands') }} as bands
    on
        tiers.tier_rank = bands.tier_rank
        and months.month_end_on >= bands.valid_from
        and months.month_end_on < bands.valid_to
left join {{ ref('dim_customer') }} as customers
    on
        months.person_id = customers.person_id
        and months.month_end_on >= customers.valid_from
        and months.month_end_on < customers.valid_to
left join {{ ref('age_bands') }} as age_bands
    on
        extract(year from months.month_end_on) - customers.birth_year >= age_bands.age_from
        and extract(year from months.month_end_on) - customers.birth_year < age_bands.age_below
        and months.month_end_on >= age_bands.valid_from
        and months.month_end_on < age_bands.valid_to
left join {{ ref('int_person_month_channel') }} as channels
    on
        months.person_id = channels.person_id
        and months.month_number = channels.month_number
