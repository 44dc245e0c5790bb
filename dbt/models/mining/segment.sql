{{ mined_rows('segment') }}
