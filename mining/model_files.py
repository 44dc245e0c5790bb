"""Model files: written with skops (no pickle), named by the hash of their content, loaded only when it matches.

A model is a dictionary of numbers, texts, arrays and scikit-learn estimators. The file holds no customer's row.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRUSTED_TYPES = frozenset(
    {
        "mining.preparation.Preparation",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    }
)
"""Types beyond those skops itself trusts. Nothing that can call code is in the list."""


class ModelFileError(ValueError):
    """A model file that may not be used."""


@dataclass(frozen=True)
class ModelFile:
    """Where a model was written and the id that its content must match."""

    model_id: str
    path: Path


def save_state(state: dict[str, Any], folder: Path | str) -> ModelFile:
    """Write a model and return its file; the same model gives the same bytes and the same id.

    Parameters
    ----------
    state
        Numbers, texts, arrays, lists, dictionaries and scikit-learn estimators.
    folder
        Created when absent. The file is ``<model_id>.skops``, readable by its owner only.
    """
    import skops.io  # noqa: PLC0415

    content = canonical_archive(skops.io.dumps(state))
    model_id = hashlib.sha256(content).hexdigest()
    target = Path(folder) / f"{model_id}.skops"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(target)
    return ModelFile(model_id, target)


def load_state(path: Path | str, model_id: str, trusted: Collection[str] = TRUSTED_TYPES) -> dict[str, Any]:
    """Return the model in a file, after its content and its types are checked.

    Parameters
    ----------
    path
        The file.
    model_id
        The id it was registered under: the SHA-256 of its content.
    trusted
        Types that may appear beside those skops trusts.

    Raises
    ------
    ModelFileError
        When the content does not match `model_id`, is no model, or holds a type outside `trusted`.
    """
    # It takes a second to import: only who has a model file pays.
    import skops.io  # noqa: PLC0415

    if not Path(path).is_file():
        message = f"{path}: the model file is not there. Restore it from the backup or run `retrain`."
        raise ModelFileError(message)
    content = Path(path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != model_id:
        message = (
            f"{Path(path).name}: the content has the hash {found[:12]}..., registered is {model_id[:12]}.... "
            "The file was changed or belongs to another run. Restore it from the backup or run `retrain`."
        )
        raise ModelFileError(message)
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(data=content)) - set(trusted))
    except Exception as error:  # skops raises whatever a broken archive leads it to
        message = f"{Path(path).name}: not a model file ({type(error).__name__}). Run `retrain`."
        raise ModelFileError(message) from error
    if unknown:
        message = (
            f"{Path(path).name}: holds types that are not trusted: {', '.join(unknown)}. "
            f"Trusted are {', '.join(sorted(trusted))} and those of skops. The file was not loaded."
        )
        raise ModelFileError(message)
    try:
        state = skops.io.loads(content, trusted=sorted(trusted))
    except Exception as error:
        message = (
            f"{Path(path).name}: the libraries here cannot read it ({type(error).__name__}: {error}). Run `retrain`."
        )
        raise ModelFileError(message) from error
    if not isinstance(state, dict):
        message = f"{Path(path).name}: holds a {type(state).__name__}, a model is a dictionary."
        raise ModelFileError(message)
    return state


def canonical_archive(content: bytes) -> bytes:
    """Return a skops archive whose bytes depend on the model only.

    skops names members and nodes by memory address and stamps the clock; here they are numbered in order of
    appearance and stamped 1980-01-01.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop("schema.json"))
    numbers: dict[str, int] = {}
    names: dict[str, str] = {}

    def renamed(node: Any) -> Any:
        if isinstance(node, list):
            return [renamed(item) for item in node]
        if not isinstance(node, dict):
            return node
        result: dict[str, Any] = {}
        for key, value in node.items():
            if key == "__id__" and isinstance(value, int):
                result[key] = numbers.setdefault(str(value), len(numbers) + 1)
            elif key == "file" and isinstance(value, str) and value in members:
                suffix = Path(value).suffix
                result[key] = names.setdefault(value, f"{len(names) + 1:06d}{suffix}")
            else:
                result[key] = renamed(value)
        return result

    canonical = renamed(schema)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for old, new in sorted(names.items(), key=lambda pair: pair[1]):
            write_member(archive, new, members[old])
        write_member(archive, "schema.json", json.dumps(canonical).encode())
    return stream.getvalue()


def write_member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a member stamped with the earliest date a zip can hold."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)
