{{ mined_rows('segment_assignment') }}
