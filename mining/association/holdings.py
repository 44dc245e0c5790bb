"""Who held what when: the one form from which baskets of any date and openings of any window are made.

Belongs here: turning intervals of holding into rows of bits. Does not belong here: which account is whose, and when it
counts as open (the warehouse decides that).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from mining.association.baskets import BasketError, PackedBaskets

__all__ = ["Flags", "Holdings", "months_before", "read_holdings"]

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Holdings:
    """Intervals in which persons held items.

    Attributes
    ----------
    persons : ndarray of str
        Everybody, in order; rows of every matrix.
    items : tuple of str
        In order; columns of every matrix.
    person, item : ndarray of int64, shape (intervals,)
        Places in the above.
    held_from, held_to : ndarray of datetime64[D], shape (intervals,)
        Half-open.
    """

    persons: npt.NDArray[np.object_]
    items: tuple[str, ...]
    person: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    held_from: npt.NDArray[np.datetime64]
    held_to: npt.NDArray[np.datetime64]

    def held_at(self, day: date) -> Flags:
        """Return what each person held at the end of a day, shape (persons, items)."""
        at = np.datetime64(day)
        return self._matrix((self.held_from <= at) & (at < self.held_to))

    def opened_within(self, after: date, until: date) -> Flags:
        """Return what each person began to hold later than one day and up to another, shape (persons, items)."""
        return self._matrix((self.held_from > np.datetime64(after)) & (self.held_from <= np.datetime64(until)))

    def _matrix(self, chosen: Flags) -> Flags:
        cells = np.zeros((len(self.persons), len(self.items)), dtype=bool)
        cells[self.person[chosen], self.item[chosen]] = True
        return cells

    def pack(self, cells: Flags) -> PackedBaskets:
        """Return rows of a matrix as baskets, one row each of weight 1."""
        words = -(-max(len(self.items), 1) // 64)
        packed = np.zeros((len(cells), 8 * words), dtype=np.uint8)
        bits = np.packbits(cells, axis=1, bitorder="little")
        packed[:, : bits.shape[1]] = bits
        return PackedBaskets(self.items, packed.view(np.uint64), np.ones(len(cells), dtype=np.int64), len(cells))


def read_holdings(frame: pd.DataFrame) -> Holdings:
    """Check intervals of holding and code them.

    Parameters
    ----------
    frame : DataFrame
        Columns ``person_id``, ``item`` (text), ``held_from``, ``held_to`` (days, half-open; absent: still held).

    Raises
    ------
    BasketError
        When a column is absent, or a person, an item or a first day is, or a day is none.

    Examples
    --------
    >>> rows = [("a", "card", "2024-01-05", None), ("a", "loan", "2024-03-01", "2024-06-01")]
    >>> rows.append(("b", "card", "2024-04-01", None))
    >>> held = read_holdings(pd.DataFrame(rows, columns=["person_id", "item", "held_from", "held_to"]))
    >>> held.held_at(date(2024, 4, 30)).tolist(), held.opened_within(date(2024, 3, 31), date(2024, 4, 30)).tolist()
    ([[True, True], [True, False]], [[False, False], [True, False]])
    """
    needed = ("person_id", "item", "held_from", "held_to")
    missing = [name for name in needed if name not in frame]
    if missing:
        raise BasketError(f"The frame of holdings has no column {missing[0]}; needed are {', '.join(needed)}.")
    for name in needed[:3]:
        if frame[name].isna().any():
            row = int(np.flatnonzero(frame[name].isna().to_numpy())[0])
            raise BasketError(f"Row {row} of the holdings has no {name}; each interval needs one.")
    person, persons = pd.factorize(frame["person_id"], sort=True)
    item, items = pd.factorize(frame["item"], sort=True)
    ends = _days(frame, "held_to")
    ends[np.isnat(ends)] = np.datetime64("9999-12-31")
    return Holdings(
        persons=np.asarray(persons, dtype=object),
        items=tuple(map(str, items)),
        person=person.astype(np.int64),
        item=item.astype(np.int64),
        held_from=_days(frame, "held_from"),
        held_to=ends,
    )


def _days(frame: pd.DataFrame, name: str) -> npt.NDArray[np.datetime64]:
    """Return days; of objects one by one, since pandas refuses years like 9999."""
    values = frame[name]
    if values.dtype.kind == "M":
        return values.to_numpy().astype("datetime64[D]")
    try:
        return np.array([None if pd.isna(value) else value for value in values], dtype="datetime64[D]")
    except ValueError as error:
        raise BasketError(f"Column {name} of the holdings: {error}; valid are days such as 2024-01-05.") from error


def months_before(day: date, months: int) -> date:
    """Return the same day some months before; the month's last day stays the last.

    Examples
    --------
    >>> months_before(date(2025, 12, 31), 6), months_before(date(2025, 3, 30), 1)
    (datetime.date(2025, 6, 30), datetime.date(2025, 2, 28))
    """
    moved = pd.Timestamp(day) - pd.DateOffset(months=months)
    is_last = pd.Timestamp(day).is_month_end
    return (moved + pd.offsets.MonthEnd(0)).date() if is_last else moved.date()
