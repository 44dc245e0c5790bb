with recursive

-- depth grows by one on every way down from a root; of branches in a circle none does, so each stands alone
closure as (
    select
        branch_id as ancestor_branch_id,
        branch_id,
        depth,
        0 as distance
    from {{ ref('dim_branch') }}
    union all
    select
        closure.ancestor_branch_id,
        branches.branch_id,
        branches.depth,
        closure.distance + 1 as distance
    from {{ ref('dim_branch') }} as branches
    inner join closure on branches.parent_branch_id = closure.branch_id
    where branches.depth = closure.depth + 1
)

select
    ancestor_branch_id,
    branch_id,
    distance
from closure
