{{ mined_rows('model_run') }}
