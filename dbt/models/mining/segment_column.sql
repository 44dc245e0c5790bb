{{ mined_rows('segment_column') }}
