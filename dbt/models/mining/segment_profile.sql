{{ mined_rows('segment_profile') }}
