-- Every customer record that stands today is behind exactly one current person.
{{ config(meta={'dagster': {'ref': {'name': 'dim_customer'}}}) }}

with

delivered as (
    select count(*) as record_count
    from {{ ref('stg_customers') }}
    where is_current
),

counted as (
    select coalesce(sum(record_count), 0) as record_count
    from {{ ref('dim_customer') }}
    where is_current
)

select
    delivered.record_count as delivered_record_count,
    counted.record_count as counted_record_count
from delivered
cross join counted
where delivered.record_count <> counted.record_count
