"""The one place that reads the environment. A missing variable is an error: a default would decide in silence.

The console program sets every variable for what it starts; an operator who starts Dagster alone sets them by hand.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from warehouse.errors import UserError
from warehouse.sources.bank import Bank, load_bank

VARIABLES = {
    "MAINBANK_HOME": "the folder that holds all data of the installation",
    "MAINBANK_SOURCE": "the bank: a shipped name, a folder with mapping.yml and bank.yml, or a mapping file",
    "MAINBANK_DATA": "the folder with the bank's deliveries",
}


@dataclass(frozen=True)
class Environment:
    """What a process of the pipeline needs to know before it opens anything.

    Parameters
    ----------
    home : pathlib.Path
        ``MAINBANK_HOME``, absolute.
    source : str
        ``MAINBANK_SOURCE``: which bank.
    data : pathlib.Path
        ``MAINBANK_DATA``, absolute.
    as_of : datetime.date or None
        ``MAINBANK_AS_OF``: build as of this date; None: as of the last complete delivery.
    delivered_on : datetime.date or None
        ``MAINBANK_DELIVERED_ON``: business date of what databases deliver now; None: today at the bank.
    """

    home: Path
    source: str
    data: Path
    as_of: date | None
    delivered_on: date | None = None

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> Environment:
        """Read the environment.

        Parameters
        ----------
        variables : mapping of str to str, optional
            The variables; those of the process by default.

        Raises
        ------
        UserError
            Naming the variable that is missing or not valid.
        """
        found = os.environ if variables is None else variables
        for name, meaning in VARIABLES.items():
            if not found.get(name):
                raise UserError(
                    f"environment variable {name} is not set",
                    valid=meaning,
                    next_step="start the pipeline with `mainbank run` or `mainbank dev`, which set it, or set it",
                )
        return cls(
            home=Path(found["MAINBANK_HOME"]).resolve(),
            source=found["MAINBANK_SOURCE"],
            data=Path(found["MAINBANK_DATA"]).resolve(),
            as_of=parse_as_of(found.get("MAINBANK_AS_OF") or None),
            delivered_on=parse_as_of(found.get("MAINBANK_DELIVERED_ON") or None, "DELIVERED_ON"),
        )

    def variables(self) -> dict[str, str]:
        """The variables that make another process read this environment."""
        return {
            "MAINBANK_HOME": str(self.home),
            "MAINBANK_SOURCE": self.source,
            "MAINBANK_DATA": str(self.data),
            "MAINBANK_AS_OF": "" if self.as_of is None else self.as_of.isoformat(),
            "MAINBANK_DELIVERED_ON": "" if self.delivered_on is None else self.delivered_on.isoformat(),
            "DAGSTER_HOME": str(self.home / "dagster"),
            # Steps end with dozens of events; written one by one they took a fifth of a short run.
            "DAGSTER_EVENT_BATCH_SIZE": "100",
        }


def _memory(home: Path) -> Path:
    return home / "dagster" / "environment.json"


def remember(environment: Environment) -> None:
    """Note bank and data of a run that has begun, so that the UI opens on what was run."""
    path = _memory(environment.home)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"source": environment.source, "data": str(environment.data)}))
    new.replace(path)


def remembered(home: Path) -> Environment | None:
    """Bank and data of the last run on this home; None if there was none."""
    if not _memory(home).is_file():
        return None
    known = json.loads(_memory(home).read_text())
    return Environment(home, known["source"], Path(known["data"]), None)


@functools.cache
def bank_of(source: str) -> Bank:
    """Mapping and settings of a bank, read once in a process: validating a mapping takes part of a second."""
    return load_bank(source)


def parse_as_of(value: str | None, name: str = "AS_OF") -> date | None:
    """Read an as-of date, or a date of delivery.

    Raises
    ------
    UserError
        If it is not a date written as ``2024-03-31``.
    """
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise UserError(
            f"{'the as-of date' if name == 'AS_OF' else 'the date of delivery'} cannot be read",
            where=name,
            found=repr(value),
            valid="a date as 2024-03-31",
        ) from error
