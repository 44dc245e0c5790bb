with

counted as (
    select
        task,
        kind,
        count(*) filter (where status <> 'gone') as finding_count,
        count(*) filter (where status <> 'gone' and coalesce(killed_by, '') <> 'chance') as found_count,
        count(*) filter (where killed_by = 'holdout') as killed_by_holdout_count,
        count(*) filter (where killed_by = 'simpson') as killed_by_simpson_count,
        count(*) filter (where killed_by = 'strata') as killed_by_strata_count,
        count(*) filter (where killed_by = 'next_period') as killed_by_next_period_count,
        count(*) filter (where status = 'rejected') as rejected_count,
        count(*) filter (where status = 'expired') as expired_count,
        count(*) filter (where is_shown) as shown_count
    from {{ ref('knowledge_register') }}
    group by task, kind
)

select
    *,
    cast(found_count - shown_count as double) / nullif(found_count, 0) as kill_ratio
from counted
