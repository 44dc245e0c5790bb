{{ mined_rows('loyalty_measure') }}
