"""The model of what agreement says: levels of each comparison, their probabilities, and the files they stand in."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import UserError
from warehouse.home import Home

SHIPPED = Path(__file__).with_name("weights.yml")
FOLDER = "identity"

_AGREED = (
    "cast(coalesce(mobile_l = mobile_r, false) as integer) + cast(coalesce(email_l = email_r, false) as integer)"
    " + cast(coalesce(address_l = address_r, false) as integer)"
)
#: Of each comparison: when it says nothing, and its levels from the most to the least agreement; the last one is what
#: is left. The names are those of the file of weights.
LEVELS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "name": (
        "letters_l is null or letters_r is null",
        (
            ("same", "letters_l = letters_r"),
            ("same_letters_in_other_order", "letters_sorted_l = letters_sorted_r"),
            ("sounds_alike", "sound_sorted_l = sound_sorted_r"),
            # Of two sounds one is the surname, which the whole family has: one of three at the least.
            (
                "one_sound_differs",
                "least(length(sound_l), length(sound_r)) >= 2 and greatest(length(sound_l), length(sound_r)) >= 3"
                " and levenshtein(sound_l, sound_r) <= 1",
            ),
            ("differs", "ELSE"),
        ),
    ),
    "birth_date": (
        "born_l is null or born_r is null",
        (
            ("same", "born_l = born_r"),
            (
                "one_slip",
                "damerau_levenshtein(born_l, born_r) <= 1"
                " or concat(left(born_l, 4), substr(born_l, 7, 2), substr(born_l, 5, 2)) = born_r",
            ),
            ("differs", "ELSE"),
        ),
    ),
    "document": (
        "document_l is null or document_r is null or document_type_l <> document_type_r"
        " or (document_type_l <> 'identity_card' and damerau_levenshtein(document_l, document_r) > 1)",
        (
            ("same", "document_l = document_r"),
            ("one_slip", "damerau_levenshtein(document_l, document_r) <= 1"),
            ("differs", "ELSE"),
        ),
    ),
    "contact": (
        "(mobile_l is null or mobile_r is null) and (email_l is null or email_r is null)"
        " and (address_l is null or address_r is null)",
        (
            ("two_agree", f"{_AGREED} >= 2"),
            ("mobile_or_email_agrees", "mobile_l = mobile_r or email_l = email_r"),
            ("address_agrees", "address_l = address_r"),
            (
                "nearly",
                "levenshtein(mobile_l, mobile_r) <= 1 or (address_numbers_l = address_numbers_r"
                " and jaro_winkler_similarity(address_l, address_r) >= 0.85)",
            ),
            ("differs", "ELSE"),
        ),
    ),
}


@dataclass(frozen=True)
class Model:
    """Probabilities of the levels, and from which probability on records are one person.

    Attributes
    ----------
    prior
        Share of all pairs of records that are one person.
    threshold
        Probability from which on a pair is one person.
    m, u
        By comparison and level: how often records of one person, and of two, are like this.
    """

    prior: float
    threshold: float
    m: dict[str, dict[str, float]]
    u: dict[str, dict[str, float]]

    @property
    def name(self) -> str:
        """Hash of what it says: evidence names it."""
        text = json.dumps([self.prior, self.threshold, self.m, self.u, LEVELS], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def threshold_weight(self) -> float:
        """The threshold as a weight, in bits."""
        return math.log2(self.threshold / (1 - self.threshold))

    def as_dictionary(self) -> dict[str, Any]:
        """As it stands in a file."""
        return {
            "prior": self.prior,
            "threshold": self.threshold,
            "comparisons": {
                name: {level: {"m": self.m[name][level], "u": self.u[name][level]} for level in self.m[name]}
                for name in self.m
            },
        }


def read_model(path: Path) -> Model:
    """A model from its file.

    Raises
    ------
    UserError
        If it cannot be read, a level is missing, a probability is none, or more agreement would weigh less.
    """
    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
        comparisons = stated["comparisons"]
        m = {name: {level: float(comparisons[name][level]["m"]) for level in _levels(name)} for name in LEVELS}
        u = {name: {level: float(comparisons[name][level]["u"]) for level in _levels(name)} for name in LEVELS}
        model = Model(float(stated["prior"]), float(stated["threshold"]), m, u)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            "the model of identity cannot be read",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            valid=f"prior, threshold, and m and u of every level, as in {SHIPPED}",
            next_step="restore the file from a backup",
        ) from error
    problem = problem_of(model)
    if problem is not None:
        raise UserError(
            "the model of identity does not hold together",
            where=str(path),
            found=problem,
            valid="probabilities between 0 and 1, and weights that fall from level to level",
            next_step="restore the file from a backup, or train again: mainbank identity train",
        )
    return model


def _levels(comparison: str) -> tuple[str, ...]:
    return tuple(name for name, _ in LEVELS[comparison][1])


def problem_of(model: Model) -> str | None:
    """What is wrong with a model, None if nothing: agreement must never weigh less than disagreement."""
    for name in ("prior", "threshold"):
        if not 0 < getattr(model, name) < 1:
            return f"{name} {getattr(model, name)}"
    for comparison in LEVELS:
        levels = _levels(comparison)
        values = [(model.m[comparison][level], model.u[comparison][level]) for level in levels]
        for level, (m, u) in zip(levels, values, strict=True):
            if not (0 < m < 1 and 0 < u < 1):
                return f"{comparison}, {level}: m {m}, u {u}"
        first, *_, last = (math.log2(m / u) for m, u in values)
        if not first > 0 > last:
            return f"{comparison}: {first:.1f} bits for {levels[0]}, {last:.1f} bits for {levels[-1]}"
    return None


def model_in_force(home: Home, bank: str) -> Model:
    """The model the bank trained last, or the shipped one."""
    path = model_path(home, bank)
    return read_model(path if path.is_file() else SHIPPED)


def model_path(home: Home, bank: str) -> Path:
    """Where the trained model of a bank lies, with the decisions it is one of."""
    return home.decisions / FOLDER / bank / "model.json"
