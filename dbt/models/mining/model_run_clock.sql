{{ config(schema='meta') }}

{{ mined_rows('model_run') }}
