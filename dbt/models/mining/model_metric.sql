{{ mined_rows('model_metric') }}
