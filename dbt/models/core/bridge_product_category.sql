with recursive

tree as (
    select *
    from {{ ref('product_category_tree') }}
    where valid_from <= {{ as_of() }} and {{ as_of() }} < valid_to
),

closure as (
    select
        category as ancestor_category,
        category,
        0 as distance
    from tree
    union
    select
        closure.ancestor_category,
        tree.category,
        closure.distance + 1 as distance
    from tree
    inner join closure on tree.parent_category = closure.category
),

parents as (
    select distinct parent_category
    from tree
)

select
    closure.ancestor_category,
    closure.category,
    closure.distance,
    ancestors.name_en as ancestor_name,
    ancestors.name_zh as ancestor_name_zh,
    parents.parent_category is null as is_leaf
from closure
inner join tree as ancestors on closure.ancestor_category = ancestors.category
left join parents on closure.category = parents.parent_category
