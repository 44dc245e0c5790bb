"""Dirt: what is wrong with the rows that a real bank delivers, by rate, each faulty row recorded in the truth.

Which row is faulty, and how, is looked up from a hash of its key like everything else here. So the same rows are
faulty however the bank is cut into deliveries.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import UserError
from warehouse.sample_bank.columns import AnyIntegers, dates
from warehouse.sample_bank.dates import day_number
from warehouse.sample_bank.files import GBK_BEGIN, GBK_END, texts_of
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, FloatArray, IntegerArray
from warehouse.sample_bank.table_shapes import TableShape

#: Faults of single rows, in the order in which their rates share the unit interval.
ROW_KINDS = ("wrong_type", "impossible_date", "gbk_bytes", "duplicate", "orphan", "late", "correction", "delete")
#: Those that only text can hold, and for which landing has no place but the quarantine.
UNREADABLE_KINDS = ROW_KINDS[:3]
#: Changes of a whole file from a day on, as a release of the source system brings them.
DRIFT_KINDS = ("column_added", "column_renamed", "column_retyped")
#: The table whose files drift: the only one with a file for every month and day.
DRIFTING_TABLE = "transactions"
#: A late row comes, and a wrong one is put right, one to this many days later.
LATEST_DAYS = 5
CLEAN = -1

_WRONG_TYPE, _IMPOSSIBLE_DATE, _GBK, _DUPLICATE, _ORPHAN, _LATE, _CORRECTION, _DELETE = range(len(ROW_KINDS))
_NO_NUMBERS = ("N/A", "1.2.3", "三千", "#REF!", "--")
_NO_DATES = ("2024-02-30", "2023-13-01", "0000-00-00", "2025-04-31", "31/12/2024")
#: Put before an identifier to make one that nothing has: those of the bank are digits.
_NOBODYS = "X"
#: Columns beside a row's own while it is on its way into a file.
_HELPERS = ("_day", "_kind", "_settled", "_is_delete")

FAULTS = pa.schema(
    [
        ("table", pa.string()),
        ("kind", pa.string()),
        ("key", pa.string()),
        ("column", pa.string()),
        ("delivery", pa.string()),
        ("row_number", pa.int64()),
        ("settled_on", pa.date32()),
    ]
)
"""One row per faulty row: `delivery` is the file without its extension, `row_number` counts from 1 within it.

`settled_on` is the day the row was due (late rows) or is put right (corrections, deletes). A column that was added,
renamed or retyped is one row per file without key and number.
"""


@dataclass(frozen=True)
class Dirt:
    """Shares of rows with each kind of fault, and days from which on a column is another. Nothing by default.

    Rows of reference tables stay clean. `late`, `correction` and `delete` show in daily deliveries only: within one
    initial load nobody can tell. `correction` and `delete` are of tables whose rows are events.

    Parameters
    ----------
    wrong_type
        A number or a truth value is text that is neither.
    impossible_date
        A date or a time is none.
    gbk_bytes
        A Chinese text is in another encoding than the file.
    duplicate
        The row stands twice in its file.
    orphan
        Behind the row stands another of an account or a customer that is not there.
    late
        The row comes up to `LATEST_DAYS` days after it was due.
    correction
        The row is delivered with a wrong number and days later with the right one.
    delete
        With the row comes another that should not be, and is deleted days later. Where rows are told apart by their
        account, it is of an account that is not there.
    column_added, column_renamed, column_retyped
        First day of files of transactions with a column `device` more, with `place_city` named `city`, with `value_on`
        as a time of the day.
    until
        Last day whose rows are hit; without it there is no end.
    is_spread
        Whether the rates of kinds that a row cannot have are spread over those it can: then as many rows are faulty as
        the rates add up to. Otherwise each kind hits its rate of the rows that can have it.
    """

    wrong_type: float = 0.0
    impossible_date: float = 0.0
    gbk_bytes: float = 0.0
    duplicate: float = 0.0
    orphan: float = 0.0
    late: float = 0.0
    correction: float = 0.0
    delete: float = 0.0
    column_added: date | None = None
    column_renamed: date | None = None
    column_retyped: date | None = None
    until: date | None = None
    is_spread: bool = False

    @classmethod
    def of_rate(cls, rate: float, formats: tuple[str, ...] = ("csv",)) -> Dirt:
        """Dirt in which a share of the rows about customers is faulty: of each kind as many, of those a row can have.

        The rows are those of a clean bank: copies, orphans and deletions come on top.

        Examples
        --------
        >>> Dirt.of_rate(0.008).late, Dirt.of_rate(0.005, ("parquet",)).gbk_bytes
        (0.001, 0.0)
        """
        kinds = [kind for kind in ROW_KINDS if "parquet" not in formats or kind not in UNREADABLE_KINDS]
        rates: dict[str, Any] = {kind: rate / len(kinds) for kind in kinds}
        return cls(**rates, is_spread=rate > 0)

    @classmethod
    def from_manifest(cls, values: dict[str, float | str | None]) -> Dirt:
        """Dirt as `as_manifest` wrote it."""
        read: dict[str, Any] = {
            name: date.fromisoformat(value) if isinstance(value, str) else value for name, value in values.items()
        }
        return cls(**read)

    def as_manifest(self) -> dict[str, float | str]:
        """What is not clean, in terms of JSON."""
        found = {name: value for name, value in asdict(self).items() if value}
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in found.items()}

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return self == Dirt()

    def check(self, formats: tuple[str, ...]) -> None:
        """Refuse rates that are none and faults a format cannot hold.

        Raises
        ------
        UserError
            A rate outside 0 to 1, rates that add up to more than 1, a day that is none, or unreadable values asked
            for in Parquet.
        """
        rates = {kind: getattr(self, kind) for kind in ROW_KINDS}
        for kind, rate in rates.items():
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
                raise UserError(
                    "a rate of dirt is a share of the rows",
                    where=f"dirt.{kind}",
                    found=repr(rate),
                    valid="a number from 0 to 1",
                )
        if sum(rates.values()) > 1 + 1e-9:
            raise UserError(
                "more rows would be faulty than there are",
                where="dirt",
                found=f"rates that add up to {sum(rates.values()):g}",
                valid="at most 1 together",
            )
        if not isinstance(self.is_spread, bool):
            raise UserError(
                "rates of dirt are spread or not",
                where="dirt.is_spread",
                found=repr(self.is_spread),
                valid="true, false",
            )
        for kind in (*DRIFT_KINDS, "until"):
            day = getattr(self, kind)
            if day is not None and not isinstance(day, date):
                raise UserError(
                    "the day from which a column is another, or until which rows are faulty, is no date",
                    where=f"dirt.{kind}",
                    found=repr(day),
                    valid="a date",
                )
        unreadable = [kind for kind in UNREADABLE_KINDS if rates[kind]]
        if unreadable and "parquet" in formats:
            raise UserError(
                "Parquet holds typed values, so these faults cannot stand in it",
                where="dirt, formats",
                found=f"{', '.join(unreadable)} with formats {', '.join(formats)}",
                valid="csv alone, or rates of 0 for these",
                next_step="add --format csv, or leave these kinds of dirt out",
            )

    @property
    def is_unreadable(self) -> bool:
        """Whether some rows will end in quarantine."""
        return any(getattr(self, kind) for kind in UNREADABLE_KINDS)


CLEAN_ROWS = Dirt()


def arranged(shape: TableShape, rows: pa.Table, dirt: Dirt, *, seed: int, initial_end: int) -> pa.Table:
    """Rows as they are delivered, with the day of it, what is wrong with them and whether they are deletions.

    Parameters
    ----------
    shape
        The table they belong to.
    rows
        As they would be in a clean bank.
    dirt, seed
        What decides about faults.
    initial_end
        Last day of the initial load, as days since 1970-01-01. What is known until then and not late comes with it.

    Returns
    -------
    pyarrow.Table
        The columns of `rows` and `_HELPERS`, in the order in which they stand in their files.
    """
    known = shape.known_days(rows)
    size = rows.num_rows
    if dirt.is_clean or not shape.is_of_customers or size == 0:
        return _with_helpers(rows, known, np.full(size, CLEAN), np.zeros(size, np.int64), np.zeros(size, np.bool_))
    kind, delay = _looked_up(shape, rows, dirt, seed=seed, is_daily=known > initial_end, days_left=initial_end - known)
    if dirt.until is not None:
        kind[known > day_number(dirt.until)] = CLEAN
    copies = np.select([np.isin(kind, (_DUPLICATE, _ORPHAN, _CORRECTION)), kind == _DELETE], [2, 3], 1)
    place = np.repeat(np.arange(size), copies)
    turn = np.arange(len(place)) - np.repeat(np.cumsum(copies) - copies, copies)
    kind, known, delay = kind[place], known[place], delay[place]
    # The right row of a correction comes last, the row of the others that are more than one comes first.
    is_fault = np.where(
        kind == _CORRECTION, turn == 0, np.where(np.isin(kind, (_DUPLICATE, _ORPHAN, _DELETE)), turn == 1, kind >= 0)
    )
    is_deletion = (kind == _DELETE) & (turn == 2)
    is_repair = is_deletion | ((kind == _CORRECTION) & (turn == 1))
    day = known + np.where(is_repair | (kind == _LATE), delay, 0)
    settled = np.select([kind == _LATE, np.isin(kind, (_CORRECTION, _DELETE))], [known, known + delay], 0)
    made_up = (kind == _ORPHAN) & (turn == 1)
    another_key = made_up | ((kind == _DELETE) & (turn > 0))
    rows = rows.take(place)
    if shape.owner not in shape.key:
        rows = _renamed(rows, shape.own_key, another_key)
    if shape.owner is not None:
        # What hangs on its owner's key is another thing only if it is another owner's.
        rows = _renamed(rows, shape.owner, another_key if shape.owner in shape.key else made_up)
    rows = _with_wrong_number(rows, (kind == _CORRECTION) & (turn == 0))
    return _with_helpers(rows, day, np.where(is_fault, kind, CLEAN), np.where(is_fault, settled, 0), is_deletion)


def _looked_up(
    shape: TableShape, rows: pa.Table, dirt: Dirt, *, seed: int, is_daily: BooleanArray, days_left: IntegerArray
) -> tuple[IntegerArray, IntegerArray]:
    """Kind of fault of each row, or `CLEAN`, and how many days it is late or stays wrong.

    `is_daily` says which rows come with a day, `days_left` how many days of the initial load follow on a row.
    """
    names = shape.keys(rows)
    if shape.is_versioned:
        names = pc.binary_join_element_wise(names, pc.cast(rows.column("updated_at"), pa.string()), "|")
    identity = _hashes(names.to_numpy(zero_copy_only=False).astype(object))
    draws = Draws(seed, f"dirt {shape.name}", identity)
    delay = 1 + draws.integer("days", LATEST_DAYS)
    possible = np.ones((len(ROW_KINDS), len(identity)), np.bool_)
    possible[_WRONG_TYPE] = any(_is_number(field.type) for field in rows.schema)
    possible[_IMPOSSIBLE_DATE] = any(pa.types.is_temporal(field.type) for field in rows.schema)
    possible[_ORPHAN] = shape.owner is not None
    # Within an initial load nobody can tell what is late, was corrected or deleted.
    possible[_LATE] = delay > days_left
    possible[_CORRECTION] = possible[_DELETE] = is_daily & (not shape.is_versioned)
    rates = np.array([getattr(dirt, kind) for kind in ROW_KINDS])
    position = draws.uniform("kind")
    if not dirt.is_spread:
        kind = _chosen(position, np.broadcast_to(rates[:, None], possible.shape))
        return np.where((kind == CLEAN) | possible[kind, np.arange(len(kind))], kind, CLEAN), delay
    kind = _chosen(position, _spread(rates, possible))
    # Whether a text would be unreadable in GBK is looked at only where it matters.
    hit = np.flatnonzero(kind == _GBK)
    unfit = hit[~_has_foreign_text(rows.take(hit))]
    possible[_GBK, unfit] = False
    again = _spread(rates, possible[:, unfit]) / rates.sum()
    kind[unfit] = _chosen(draws.uniform("another kind", unfit), again)
    return kind, delay


def _spread(rates: FloatArray, possible: BooleanArray) -> FloatArray:
    """Rates of each kind for each row that add up to what all rates do."""
    weights = rates[:, None] * possible
    spread: FloatArray = weights * (rates.sum() / np.maximum(weights.sum(axis=0), np.finfo(float).tiny))
    return spread


def _chosen(position: FloatArray, rates: FloatArray) -> IntegerArray:
    """Kind of each row by its position in the unit interval; `CLEAN` beyond all rates."""
    bounds = np.cumsum(rates, axis=0)
    kind = (position >= bounds).sum(axis=0)
    return np.where(kind == len(ROW_KINDS), CLEAN, kind)


def _has_foreign_text(rows: pa.Table) -> BooleanArray:
    """Whether each row has a text whose bytes in GBK are no UTF-8."""
    found = np.zeros(rows.num_rows, np.bool_)
    for field in rows.schema:
        if _is_number(field.type) or pa.types.is_temporal(field.type):
            continue
        texts = pc.cast(rows.column(field.name), pa.string()).to_pylist()
        found |= np.array([bool(text) and _is_foreign_in_gbk(text) for text in texts], np.bool_)
    return found


def _hashes(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.uint64]:
    """64 bits of each text, the same in every process."""
    # A clean bank need not wait for pandas.
    from pandas.util import hash_array  # noqa: PLC0415

    return np.asarray(hash_array(texts, categorize=False), np.uint64)


def _with_helpers(
    rows: pa.Table, day: IntegerArray, kind: IntegerArray, settled: IntegerArray, is_deletion: AnyIntegers
) -> pa.Table:
    values = (pa.array(day), pa.array(kind.astype(np.int8)), pa.array(settled), pa.array(is_deletion))
    for name, column in zip(_HELPERS, values, strict=True):
        rows = rows.append_column(name, column)
    return rows


def _renamed(rows: pa.Table, column: str, mask: AnyIntegers) -> pa.Table:
    if not mask.any():
        return rows
    values = pc.cast(rows.column(column), pa.string())
    others = pc.binary_join_element_wise(_NOBODYS, values, "")
    position = rows.schema.get_field_index(column)
    return rows.set_column(position, column, pc.if_else(pa.array(mask), others, values))


def _with_wrong_number(rows: pa.Table, mask: AnyIntegers) -> pa.Table:
    """One yuan more in the first amount of the rows of the mask."""
    if not mask.any():
        return rows
    position = next(index for index, field in enumerate(rows.schema) if pa.types.is_decimal(field.type))
    field = rows.schema.field(position)
    values = rows.column(position)
    wrong = pc.cast(pc.add(values, pa.scalar(1, field.type)), field.type)
    return rows.set_column(position, field.name, pc.if_else(pa.array(mask), wrong, values))


def delivered(rows: pa.Table, first: int, last: int) -> pa.Table:
    """The arranged rows that are delivered from one day to another, both included."""
    return rows.filter(pc.and_(pc.greater_equal(rows["_day"], first), pc.less_equal(rows["_day"], last)))


def without_helpers(rows: pa.Table) -> pa.Table:
    """Arranged rows as they are written."""
    return rows.drop_columns(list(_HELPERS))


def soiled(
    shape: TableShape, rows: pa.Table, *, seed: int, delivery: str, first_row: int, as_text: bool
) -> tuple[pa.Table, pa.Table]:
    """Arranged rows of one file with unreadable values in them, and the record of their faults.

    Parameters
    ----------
    shape
        The table they belong to.
    rows
        Arranged rows of one file.
    seed
        Decides about columns and values.
    delivery
        Path of the file without its extension.
    first_row
        Number of the first of them in the file.
    as_text
        Whether the file can hold any text, and all columns are to be text.

    Returns
    -------
    tuple of pyarrow.Table
        The rows to write, and rows of `FAULTS`.
    """
    kind = rows["_kind"].to_numpy().astype(np.int64)
    plain = without_helpers(rows)
    keys = shape.keys(plain)
    if as_text:
        plain = pa.table({name: texts_of(plain.column(name)) for name in plain.schema.names})
    faulty = np.flatnonzero(kind != CLEAN)
    types = {field.name: field.type for field in without_helpers(rows).schema}
    numbers = [name for name, type_ in types.items() if _is_number(type_)]
    times = [name for name, type_ in types.items() if pa.types.is_temporal(type_)]
    chosen: dict[int, str | None] = {}
    changes: dict[str, dict[int, str]] = {}
    for row in faulty.tolist():
        roll = int(_hashes(np.array([f"{seed} {keys[row]} {delivery}"], object))[0])
        column, text = None, ""
        if kind[row] == _WRONG_TYPE and numbers:
            column, text = numbers[roll % len(numbers)], _NO_NUMBERS[roll // 64 % len(_NO_NUMBERS)]
        elif kind[row] == _IMPOSSIBLE_DATE and times:
            column, text = times[roll % len(times)], _NO_DATES[roll // 64 % len(_NO_DATES)]
        elif kind[row] == _GBK:
            texts = {
                name: value
                for name, type_ in types.items()
                if not _is_number(type_) and (value := plain.column(name)[row].as_py()) and _is_foreign_in_gbk(value)
            }
            if texts:
                column = sorted(texts)[roll % len(texts)]
                text = f"{GBK_BEGIN}{texts[column]}{GBK_END}"
        elif ROW_KINDS[kind[row]] not in UNREADABLE_KINDS:
            chosen[row] = None
        # A row without a value that could be wrong in this way stays as it is.
        if column is not None:
            chosen[row] = column
            changes.setdefault(column, {})[row] = text
    for column, values in changes.items():
        mask = np.zeros(plain.num_rows, np.bool_)
        mask[list(values)] = True
        position = plain.schema.get_field_index(column)
        old = plain.column(position).combine_chunks()
        new = pc.replace_with_mask(old, pa.array(mask), pa.array([values[row] for row in sorted(values)], pa.string()))
        plain = plain.set_column(position, column, new)
    recorded = np.array(sorted(chosen), np.int64)
    settled = rows["_settled"].to_numpy()[recorded]
    faults = pa.table(
        [
            pa.repeat(pa.scalar(shape.name), len(recorded)),
            pa.array([ROW_KINDS[kind[row]] for row in recorded.tolist()], pa.string()),
            keys.take(pa.array(recorded)),
            pa.array([chosen[row] for row in recorded.tolist()], pa.string()),
            pa.repeat(pa.scalar(delivery), len(recorded)),
            pa.array(first_row + recorded),
            dates(settled, settled > 0),
        ],
        schema=FAULTS,
    )
    return plain, faults


def drifted(shape: TableShape, rows: pa.Table, dirt: Dirt, day: date) -> tuple[pa.Table, dict[str, str]]:
    """Rows of a file that begins on a day, with columns as the source system has them by then.

    Returns
    -------
    tuple
        The rows, and the column that is another by kind of drift.
    """
    found: dict[str, str] = {}
    if shape.name != DRIFTING_TABLE:
        return rows, found
    if dirt.column_added is not None and day >= dirt.column_added:
        devices = pc.if_else(pc.equal(pc.cast(rows["channel"], pa.string()), "mobile"), "phone", "none")
        rows = rows.append_column("device", pc.fill_null(devices, "none"))
        found["column_added"] = "device"
    if dirt.column_retyped is not None and day >= dirt.column_retyped:
        position = rows.schema.get_field_index("value_on")
        values = rows.column(position)
        if pa.types.is_string(values.type):
            times = pc.binary_join_element_wise(values, "00:00:00", " ")
        else:
            times = pc.cast(values, pa.timestamp("us"))
        rows = rows.set_column(position, "value_on", times)
        found["column_retyped"] = "value_on"
    if dirt.column_renamed is not None and day >= dirt.column_renamed:
        rows = rows.rename_columns({"place_city": "city"})
        found["column_renamed"] = "place_city"
    return rows, found


def drift_faults(table: str, delivery: str, found: dict[str, str]) -> pa.Table:
    """Rows of `FAULTS` for the columns of one file that are others."""
    return pa.Table.from_pylist(
        [{"table": table, "kind": kind, "column": column, "delivery": delivery} for kind, column in found.items()],
        schema=FAULTS,
    )


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(type_) or pa.types.is_integer(type_) or pa.types.is_boolean(type_))


def _is_foreign_in_gbk(text: str) -> bool:
    """Whether a text's bytes in GBK are no UTF-8."""
    try:
        text.encode("gbk").decode("utf-8")
    except UnicodeDecodeError:
        return True
    except UnicodeEncodeError:
        return False
    return False
