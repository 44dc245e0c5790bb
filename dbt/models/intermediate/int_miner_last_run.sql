{{ config(tags=['mined']) }}
select
    miner,
    status,
    reason_en,
    reason_zh,
    max(case when status = 'published' then 1 else 0 end) over (partition by miner) = 1 as has_model
from {{ ref('model_run') }}
qualify row_number() over (partition by miner order by as_of desc, status desc, run_id asc) = 1
