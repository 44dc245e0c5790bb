select
    cast(run_id as varchar) as run_id,
    cast(miner as varchar) as miner,
    cast(status as varchar) as status,
    cast(reason as varchar) as reason,
    cast(as_of as date) as as_of,
    cast(rows_in as bigint) as rows_in,
    cast(rows_out as bigint) as rows_out,
    cast(parameters as varchar) as parameters,
    cast(data_hash as varchar) as data_hash,
    cast(library_versions as varchar) as library_versions
from {{ source('mined', 'model_run') }}
