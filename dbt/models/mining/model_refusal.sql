{{ mined_rows('model_refusal') }}
