"""Where data lives and how it moves: contract, sources, landing, vault, registration, release. No Dagster, no dbt."""
