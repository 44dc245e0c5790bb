select
    channel,
    name_en as name,
    name_zh,
    is_digital,
    is_staffed,
    is_for_transactions,
    is_for_contacts,
    is_for_complaints
from {{ ref('channels') }}
