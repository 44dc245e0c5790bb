{{ config(schema='meta') }}

select
    cast(run_id as varchar) as run_id,
    cast(started_at as timestamp) as started_at,
    cast(seconds as double) as seconds
from {{ source('mined', 'model_run') }}
