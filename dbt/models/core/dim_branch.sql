with recursive

stated as (
    select *
    from {{ ref('stg_branches') }}
    where is_current
),

named as (
    select parent_branch_id as branch_id
    from stated
    union
    select branch_id
    from {{ ref('int_account') }}
    union
    select registered_branch_id as branch_id
    from {{ ref('stg_customers') }}
    union
    select resolved_id as branch_id
    from {{ ref('int_reference') }}
    where kind = 'branch'
    union
    select distinct branch_id
    from {{ ref('fct_transaction') }}
),

nodes as (
    select
        coalesce(stated.branch_id, named.branch_id) as branch_id,
        stated.name,
        stated.level,
        stated.parent_branch_id,
        stated.city,
        stated.region,
        stated.opened_on,
        stated.closed_on,
        stated.branch_id is null as is_inferred
    from stated
    full outer join named on stated.branch_id = named.branch_id
    where coalesce(stated.branch_id, named.branch_id) is not null
),

tree as (
    select
        branch_id,
        branch_id as root_branch_id,
        0 as depth,
        region
    from nodes
    where parent_branch_id is null
    union all
    select
        nodes.branch_id,
        tree.root_branch_id,
        tree.depth + 1 as depth,
        coalesce(nodes.region, tree.region) as region
    from nodes
    inner join tree on nodes.parent_branch_id = tree.branch_id
)

-- branches in a circle hang on no root: each is then its own
select
    nodes.branch_id,
    nodes.name,
    nodes.level,
    nodes.parent_branch_id,
    parents.name as parent_name,
    coalesce(tree.root_branch_id, nodes.branch_id) as root_branch_id,
    coalesce(tree.depth, 0) as depth,
    nodes.city,
    coalesce(tree.region, nodes.region) as region,
    nodes.opened_on,
    nodes.closed_on,
    nodes.is_inferred
from nodes
left join tree on nodes.branch_id = tree.branch_id
left join nodes as parents on nodes.parent_branch_id = parents.branch_id
