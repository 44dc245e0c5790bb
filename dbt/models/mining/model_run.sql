select
    run_id,
    miner,
    status,
    reason,
    as_of,
    rows_in,
    rows_out,
    parameters,
    data_hash,
    library_versions
from {{ source('mined', 'model_run') }}
