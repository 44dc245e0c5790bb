"""The code location: everything below ``defs/``, loaded by Dagster."""

from pathlib import Path

import dagster as dg


@dg.definitions
def definitions() -> dg.Definitions:
    """All assets, checks, jobs, schedules and resources."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
