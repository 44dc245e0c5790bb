{{ mined_rows('segment_choice') }}
