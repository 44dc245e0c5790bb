{{ mined_rows('segment_drift') }}
