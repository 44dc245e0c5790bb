{{ config(schema='meta') }}

{{ mined_rows('model_run', columns={'run_id': 'varchar', 'started_at': 'timestamp', 'seconds': 'double'}) }}
