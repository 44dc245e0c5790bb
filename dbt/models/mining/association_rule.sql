{{ mined_rows('association_rule') }}
