{{ mined_rows('loyalty_retention') }}
