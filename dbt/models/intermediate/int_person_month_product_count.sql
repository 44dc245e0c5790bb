{{ config(materialized='view') }}

with

-- apart from the sums: DuckDB cannot spill what `count(distinct ...)` keeps for each of millions of groups
products_of_person as (
    select
        person_id,
        month_start_on,
        product_code,
        bool_or(is_open) as is_held,
        bool_or(closed_on >= month_start_on and coalesce(closure_reason <> 'matured', true)) as is_closed_1m,
        bool_or(
            closed_on > {{ add_days('month_end_on', -183) }} and coalesce(closure_reason <> 'matured', true)
        ) as is_closed_6m,
        bool_or(is_open and opened_on > {{ add_days('month_end_on', -92) }}) as is_opened_3m,
        bool_or(is_open and opened_on > {{ add_days('month_end_on', -365) }}) as is_opened_12m
    from {{ ref('int_account_month_known') }}
    where product_code is not null
    group by person_id, month_start_on, product_code
),

product_counts as (
    select
        person_id,
        month_start_on,
        count(*) filter (where is_held) as products_held,
        count(*) filter (where is_closed_1m) as closed_products_1m,
        count(*) filter (where is_closed_6m) as closed_products_6m,
        count(*) filter (where is_opened_3m) as opened_products_3m,
        count(*) filter (where is_opened_12m) as opened_products_12m
    from products_of_person
    group by person_id, month_start_on
),

categories_of_person as (
    select distinct
        person_id,
        month_start_on,
        category
    from {{ ref('int_account_month_known') }}
    where is_open and is_aum and category is not null
),

category_counts as (
    select
        person_id,
        month_start_on,
        count(*) as aum_categories_held
    from categories_of_person
    group by person_id, month_start_on
)

select
    coalesce(product_counts.person_id, category_counts.person_id) as person_id,
    coalesce(product_counts.month_start_on, category_counts.month_start_on) as month_start_on,
    product_counts.products_held,
    product_counts.closed_products_1m,
    product_counts.closed_products_6m,
    product_counts.opened_products_3m,
    product_counts.opened_products_12m,
    category_counts.aum_categories_held
from product_counts
full outer join category_counts
    on
        product_counts.person_id = category_counts.person_id
        and product_counts.month_start_on = category_counts.month_start_on
