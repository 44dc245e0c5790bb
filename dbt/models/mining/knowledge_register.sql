{{ mined_rows('knowledge_register') }}
