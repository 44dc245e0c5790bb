"""Which columns a bank's segments are made of, and how much each of them counts in the distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Something that tells groups of customers apart, and the columns it shows in.

    Parameters
    ----------
    name
        Column-safe name.
    columns
        One entry per column; each entry lists alternatives, of which the first that can be used is.
    weight
        Share of the squared distance, against the other themes; divided equally among the theme's columns.
    """

    name: str
    columns: tuple[tuple[str, ...], ...]
    weight: float


BANK_THEMES = (
    Theme("life_stage", (("age",),), 5.0),
    Theme("value", (("inflow_3m", "outflow_3m"), ("aum_average", "aum_end")), 2.0),
    Theme("behaviour", (("counter_share_3m", "digital_share_3m"),), 1.0),
)
"""Life stage, what the customer earns and owns, how the customer deals with the bank.

A theme counts the less, the less its columns are a trait of the customer rather than of the period: age is known
exactly, a year's income and assets agree with the next year's at 0.9 (rank correlation), a year's channels at 0.66.
Many columns of one theme (accounts, products, transactions, outflows by kind) would only make it count many times,
and events (complaints, maturities, changes of assets) pass: those describe the segments, but do not make them.
"""


def theme_columns(themes: Sequence[Theme], usable: Sequence[str]) -> dict[str, float]:
    """Return the weight of each column in the distance, in the order of `usable`.

    Parameters
    ----------
    themes
        Themes; one without any usable column is left out.
    usable
        Columns that can be used.

    Examples
    --------
    >>> theme_columns(BANK_THEMES, ["age", "aum_end", "digital_share_3m", "products_held"])
    {'age': 2.23606797749979, 'aum_end': 1.4142135623730951, 'digital_share_3m': 1.0}
    """
    weights: dict[str, float] = {}
    for theme in themes:
        found = [next((name for name in names if name in usable), None) for names in theme.columns]
        held = [name for name in found if name is not None]
        weights |= {name: (theme.weight / len(held)) ** 0.5 for name in held}
    return {name: weights[name] for name in usable if name in weights}


def absent_columns(themes: Sequence[Theme], columns: Sequence[str]) -> list[str]:
    """Return the wanted columns that are not there, where none of their alternatives is."""
    return [
        name
        for theme in themes
        for names in theme.columns
        if not any(other in columns for other in names)
        for name in names
    ]
