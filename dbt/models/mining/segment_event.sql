{{ mined_rows('segment_event') }}
