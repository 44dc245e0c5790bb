{{ mined_rows('segment_migration') }}
