"""Where everything of one installation lives: the folders below ``MAINBANK_HOME``.

Only names and permissions belong here; what is in the folders belongs to the modules that write them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import UserError


@dataclass(frozen=True)
class Home:
    """The folders of one installation.

    Parameters
    ----------
    root : pathlib.Path
        The folder ``MAINBANK_HOME``.
    """

    root: Path

    @property
    def landing(self) -> Path:
        """Immutable deliveries and their ledger."""
        return self.root / "landing"

    @property
    def quarantine(self) -> Path:
        """Rows that could not be landed, inside the vault's walls."""
        return self.root / "quarantine"

    @property
    def vault(self) -> Path:
        """Clear identifiers and the keys."""
        return self.root / "vault"

    @property
    def warehouse(self) -> Path:
        """The one DuckDB file the pipeline writes."""
        return self.root / "warehouse.duckdb"

    @property
    def as_of(self) -> Path:
        """Builds as of an old date, one file each."""
        return self.root / "asof"

    @property
    def decisions(self) -> Path:
        """What a replay cannot recompute: append-only."""
        return self.root / "decisions"

    @property
    def releases(self) -> Path:
        """Published releases, one folder each."""
        return self.root / "releases"

    @property
    def current(self) -> Path:
        """The directory link that readers open."""
        return self.root / "current"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage."""
        return self.root / "dagster"

    @property
    def temporary(self) -> Path:
        """Spill files and half-made things; safe to empty when nothing runs."""
        return self.root / "tmp"

    def prepare(self) -> None:
        """Create the folders.

        Raises
        ------
        UserError
            If the home cannot be created or written.
        """
        try:
            for folder in (self.landing, self.decisions, self.releases, self.dagster, self.temporary):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.vault, self.quarantine):
                folder.mkdir(mode=0o700, exist_ok=True)
                folder.chmod(0o700)
            probe = self.temporary / f"writable.{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"MAINBANK_HOME {self.root} cannot be written: {error.strerror or error}. "
                "It must be a folder this user may create and write. "
                "Name another one: MAINBANK_HOME=/path/to/folder make run"
            ) from error
