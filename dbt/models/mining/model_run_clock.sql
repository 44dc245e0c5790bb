{{ config(schema='meta') }}

select
    run_id,
    started_at,
    seconds
from {{ source('mined', 'model_run') }}
