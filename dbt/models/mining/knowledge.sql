select
    knowledge_id,
    kind,
    task,
    run_id,
    status,
    effect,
    strata_effect,
    strata_effect_lower,
    next_period,
    statement_en,
    statement_zh,
    expires_on
from {{ ref('knowledge_register') }}
where is_shown
