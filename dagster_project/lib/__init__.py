"""Helpers of the orchestration that know no asset: the environment, how dbt is called, metadata."""
