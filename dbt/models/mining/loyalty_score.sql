{{ mined_rows('loyalty_score') }}
