"""Which model of a miner is in force, and where its files are.

A promotion is a decision: it cannot be recomputed by a replay, so it is a line appended to ``decisions/models.jsonl``.
The files of every promoted model stay below ``models/<bank>/<miner>/<as of>_<model>/``: a later one never takes the
place of an earlier one, though it was fitted on equal features. A build as of an old date is given the
model that was in force then: a later one would know what came after.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from mining.model_files import ModelFileError
from warehouse.errors import UserError
from warehouse.home import Home


@dataclass(frozen=True)
class Promotion:
    """A model in force.

    Parameters
    ----------
    miner, run_id, model_id
        Which model of which run.
    as_of
        The build's date when it was fitted: its age is counted from here.
    folder
        Where its files are.
    """

    miner: str
    run_id: str
    model_id: str
    as_of: date
    folder: Path

    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables of the run that made it.

        Raises
        ------
        ModelFileError
            If they are not there.
        """
        frames = {path.stem: pd.read_parquet(path) for path in sorted(self.folder.glob("*.parquet"))}
        if "model_run" not in frames:
            message = (
                f"{self.folder}: the tables of the run are not there. Restore them from the backup or run `retrain`."
            )
            raise ModelFileError(message)
        return frames

    @property
    def model_file(self) -> Path:
        """The model's file, named after its id."""
        return self.folder / f"{self.model_id}.skops"


class ModelStore:
    """The promotions of one bank.

    Parameters
    ----------
    home
        The installation.
    bank
        Short name of the bank.
    """

    def __init__(self, home: Home, bank: str) -> None:
        self._decisions = home.decisions / "models.jsonl"
        self._folder = home.root / "models" / bank
        self._bank = bank

    def in_force(self, miner: str, as_of: date) -> Promotion | None:
        """The model in force on a date: the latest fitted up to it, the last promoted of equal ones; or None."""
        rows = self._promotions()
        mine = [row for row in rows if (row["bank"], row["miner"]) == (self._bank, miner)]
        fitted = [row for row in mine if date.fromisoformat(row["as_of"]) <= as_of]
        if not fitted:
            return None
        found = max(reversed(fitted), key=lambda row: str(row["as_of"]))
        day = date.fromisoformat(found["as_of"])
        folder = self._place(miner, day, found["model_id"])
        return Promotion(miner, found["run_id"], found["model_id"], day, folder)

    def _place(self, miner: str, as_of: date, model_id: str) -> Path:
        return self._folder / miner / f"{as_of}_{model_id[:16]}"

    def _promotions(self) -> list[dict[str, str]]:
        if not self._decisions.is_file():
            return []
        rows = []
        for number, line in enumerate(self._decisions.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise UserError(
                    "a line of the promoted models cannot be read",
                    where=f"{self._decisions}, line {number}",
                    found=line[:80],
                    valid="a JSON object with bank, miner, run_id, model_id and as_of",
                    next_step="restore the file from the backup",
                ) from error
        return rows

    def promote(
        self,
        miner: str,
        run_id: str,
        as_of: date,
        frames: Callable[[str], Mapping[str, pd.DataFrame]],
        save: Callable[[Path], str],
    ) -> Promotion:
        """Keep the files of a run and put its model in force.

        Parameters
        ----------
        miner, run_id, as_of
            Of the run.
        frames
            Given the model's id, returns the tables to keep beside the model.
        save
            Writes the model into the folder it is given and returns the model's id.
        """
        staged = self._folder / miner / f".{run_id}.staged"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        model_id = save(staged)
        for name, frame in frames(model_id).items():
            frame.to_parquet(staged / f"{name}.parquet", index=False)
        folder = self._place(miner, as_of, model_id)
        if folder.is_dir():
            shutil.rmtree(staged)  # the same model of the same day is there already
        else:
            staged.rename(folder)
        self._decisions.parent.mkdir(parents=True, exist_ok=True)
        row = {"bank": self._bank, "miner": miner, "run_id": run_id, "model_id": model_id, "as_of": as_of.isoformat()}
        # Written beside and renamed: a line is there in full or not at all.
        lines = self._decisions.read_text(encoding="utf-8") if self._decisions.is_file() else ""
        written = self._decisions.with_suffix(".new")
        written.write_text(lines + json.dumps(row, sort_keys=True) + "\n", encoding="utf-8")
        written.replace(self._decisions)
        return Promotion(miner, run_id, model_id, as_of, folder)
