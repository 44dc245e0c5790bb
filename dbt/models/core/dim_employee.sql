with

versions as (
    select
        *,
        coalesce(lead(known_from) over (partition by employee_id order by known_from), {{ open_end() }}) as next_known_from
    from {{ ref('stg_employees') }}
),

named as (
    select distinct resolved_id as employee_id
    from {{ ref('int_reference') }}
    where kind = 'employee'
),

-- a deleted employee speaks on as last known, until delivered anew
intervals as (
    select
        *,
        known_from as valid_from,
        known_to as valid_to,
        false as is_deleted
    from versions
    union all
    select
        *,
        known_to as valid_from,
        next_known_from as valid_to,
        true as is_deleted
    from versions
    where known_to < next_known_from
)

select
    coalesce(intervals.employee_id, named.employee_id) as employee_id,
    coalesce(intervals.valid_from, {{ known_from_the_start() }}) as valid_from,
    coalesce(intervals.valid_to, {{ open_end() }}) as valid_to,
    coalesce(intervals.valid_to, {{ open_end() }}) = {{ open_end() }} as is_current,
    branches.resolved_id as branch_id,
    intervals.role,
    intervals.grade,
    intervals.discount_limit as discount_limit_rate,
    intervals.hired_on,
    intervals.left_on,
    intervals.hired_on <= {{ as_of() }}
    and coalesce(intervals.left_on, {{ open_end() }}) >= {{ as_of() }}
    and not intervals.is_deleted as is_employed,
    coalesce(intervals.is_deleted, false) as is_deleted,
    intervals.employee_id is null as is_inferred,
    coalesce(intervals.is_known_on_assumed, false) as is_known_on_assumed
from intervals
full outer join named on intervals.employee_id = named.employee_id
left join {{ ref('int_reference') }} as branches on branches.kind = 'branch' and intervals.branch_id = branches.named_id
where coalesce(intervals.employee_id, named.employee_id) is not null
