select
    merged_person_id,
    person_id,
    known_on as merged_on,
    evidence
from {{ source('raw', 'person_merges') }}
where known_on <= {{ as_of() }}
