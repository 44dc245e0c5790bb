"""Manifests: which files of a delivery lie inside the walls, by size and hash, so that none goes or changes unnoticed.

A manifest is authenticated under the token key: without it nobody can make one that fits other files. While a file is
replaced, its manifest names both what it was and what it becomes, so that it is true whenever the power fails.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from warehouse.errors import UserError
from warehouse.vault.files import flush, move, stage_parquet, write_json

FOLDER = "manifests"
_SEPARATOR = "\x1f"
#: Size and sha256 of a file.
Fingerprint = tuple[int, str]
#: What a file may be; None stands for no file.
Accepted = list[Fingerprint | None]


def fingerprint(path: Path) -> Fingerprint | None:
    """Size and sha256 of a file; None if there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as handle:
        return path.stat().st_size, hashlib.file_digest(handle, "sha256").hexdigest()


class Manifests:
    """The manifests of one bank.

    Parameters
    ----------
    vault_root
        The folder `vault`; files are named from the folder that holds it.
    bank
        Short name of the bank.
    token
        The token key.
    """

    def __init__(self, vault_root: Path, bank: str, token: bytes) -> None:
        self._home = vault_root.parent
        self._folder = vault_root / bank / FOLDER
        self._bank = bank
        self._token = token

    def deliveries(self) -> list[str]:
        """Deliveries that have a manifest."""
        return sorted(path.stem for path in self._folder.glob("[0-9a-f]*.json"))

    def check(self, deliveries: Iterable[str], *, is_thorough: bool, keys_only: Iterable[str] = ()) -> None:
        """Compare files with the manifests of their deliveries.

        Parameters
        ----------
        deliveries
            Those that exist: each must have a manifest.
        is_thorough
            Whether content is hashed; otherwise only size and presence are asked.
        keys_only
            Those of them of which only the keys count, since all else is made again.

        Raises
        ------
        UserError
            If a manifest or a file is not there, or is not what it was.
        """
        passed_over = frozenset(keys_only)
        for delivery in deliveries:
            for name, accepted in self._read(delivery).items():
                if delivery not in passed_over or "/keys/" in name:
                    self._check(self._home / name, accepted, is_thorough=is_thorough)

    def holds(self, path: Path) -> bool:
        """Whether a file belongs to its delivery; it is there then, and its content is what was written.

        Raises
        ------
        UserError
            If it is not.
        """
        if not self._path(path.stem).is_file():
            return False
        accepted = self._read(path.stem).get(self._name(path))
        if accepted is None:
            return False
        self._check(path, accepted, is_thorough=True)
        return path.is_file()

    def announce(self, delivery: str, files: Mapping[Path, Fingerprint | None]) -> None:
        """Accept what files become beside what they are, if the delivery has a manifest."""
        if self._path(delivery).is_file():
            stated = self._read(delivery)
            for path, new in files.items():
                standing = stated.get(self._name(path), [None])
                stated[self._name(path)] = [*standing, *([] if new in standing else [new])]
            self._write(delivery, stated)

    def state(self, delivery: str, files: Mapping[Path, Fingerprint]) -> None:
        """Write what files of a delivery are, once they are in place; others of it stay what they were."""
        stated = self._read(delivery) if self._path(delivery).is_file() else {}
        self._write(delivery, stated | {self._name(path): [new] for path, new in files.items()})

    def settle(self, deliveries: Iterable[str] | None = None) -> None:
        """Accept of files that were being replaced only what they are now."""
        for delivery in self.deliveries() if deliveries is None else deliveries:
            if not self._path(delivery).is_file():
                continue
            stated = self._read(delivery)
            settled: dict[str, Accepted] = {}
            for name, accepted in stated.items():
                now = fingerprint(self._home / name) if len(accepted) > 1 else accepted[0]
                settled[name] = [now] if now in accepted else accepted
            settled = {name: accepted for name, accepted in settled.items() if accepted != [None]}
            if settled != stated:
                self._write(delivery, settled)

    def replace(self, path: Path, table: pa.Table) -> None:
        """Replace a Parquet file of a delivery, and its line in the manifest."""
        temporary = stage_parquet(path, table)
        self.announce(path.stem, {path: fingerprint(temporary)})
        move(temporary, path)
        self.settle([path.stem])

    def remove(self, path: Path) -> None:
        """Remove a file of a delivery, and its line in the manifest."""
        if path.is_file():
            self.announce(path.stem, {path: None})
            path.unlink()
            flush(path.parent)
            self.settle([path.stem])

    def _path(self, delivery: str) -> Path:
        return self._folder / f"{delivery}.json"

    def _name(self, path: Path) -> str:
        return path.relative_to(self._home).as_posix()

    def _code(self, delivery: str, files: Mapping[str, Accepted]) -> str:
        content = json.dumps(files, sort_keys=True, separators=(",", ":"))
        message = _SEPARATOR.join(["manifest", self._bank, delivery, content])
        return hmac.new(self._token, message.encode(), "sha256").hexdigest()

    def _write(self, delivery: str, files: Mapping[str, Accepted]) -> None:
        write_json(self._path(delivery), {"files": files, "code": self._code(delivery, files)})

    def _read(self, delivery: str) -> dict[str, Accepted]:
        path = self._path(delivery)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            code = str(stored["code"])
            files: dict[str, Accepted] = {
                str(name): [None if one is None else (int(one[0]), str(one[1])) for one in accepted]
                for name, accepted in stored["files"].items()
            }
        except FileNotFoundError as error:
            raise UserError(
                "the manifest of a delivery is not in the vault",
                where=str(path),
                found="no file, though the ledger names the delivery",
                valid="the manifest that landing wrote",
                next_step="restore it from a backup with the files of that delivery; deliveries landed before there "
                "were manifests are landed into a new home",
            ) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise _forged(path, type(error).__name__) from error
        if not hmac.compare_digest(code.encode(), self._code(delivery, files).encode()):
            raise _forged(path, "its code does not fit its content")
        return files

    def _check(self, path: Path, accepted: Accepted, *, is_thorough: bool) -> None:
        if not path.is_file():
            if None in accepted:
                return
            raise UserError(
                "a file of the vault is gone",
                where=str(path),
                found="no file, though its delivery was landed with one",
                valid="the file the vault wrote",
                next_step="restore it from a backup; who could write to the folder should be looked into",
            )
        size = path.stat().st_size
        fitting = [one for one in accepted if one is not None and one[0] == size]
        if not fitting or (is_thorough and fingerprint(path) not in fitting):
            raise UserError(
                "a file of the vault is not whole, or not what was written",
                where=str(path),
                found=f"{size:,} bytes; changed or damaged after it was written",
                valid="the file the vault wrote (size and sha256 as in its manifest)",
                next_step="restore it from a backup; who could write to the folder should be looked into",
            )


def _forged(path: Path, found: str) -> UserError:
    return UserError(
        "the manifest of a delivery was changed or damaged after it was written",
        where=str(path),
        found=found,
        valid="the manifest the vault wrote",
        next_step="restore it from a backup; who could write to the folder should be looked into",
    )
