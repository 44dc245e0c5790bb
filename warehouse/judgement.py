"""The SQL that judges delivered rows one by one: type, required, range, allowed values, and the identifier split.

It runs on one batch at a time, on a connection that can open no file. Form (fields, quotes, encoding) was judged by
the source's reader; references between tables are resolved when the warehouse is built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import UserError
from warehouse.ledger import KNOWN_FROM_THE_START
from warehouse.sources.delivered import SOURCE_ROW
from warehouse.sources.specification import (
    DerivedColumn,
    SourceColumn,
    SourceSpec,
    quote_name,
    quote_text,
    typed_expression,
)
from warehouse.vault.sealed import BLOCK_VALUES, RECORD_VALUES
from warehouse.vault.tokens import normalised, normalised_expression, record_id_expression, token_expression

#: Columns that landing adds; `record_id` only where the mapping names the record.
ADDED_COLUMNS = (SOURCE_ROW, "_known_on", "_is_known_on_assumed", "_operation")
RECORD_ID = "record_id"
LANDED, QUARANTINED, FILTERED, ERASED = 0, 1, 2, 3
_CHUNK_ROWS = 1 << 12
_REMEMBERED = 1 << 18
_VERDICT = "_verdict"
_RECORD = "_record"
_DELETED = "_deleted"
_ERASED = "_erased"


@dataclass(frozen=True)
class Fault:
    """One reason why a row cannot be landed."""

    source_row: int
    column: str
    reason: str
    value: str | None
    record_id: str | None = None


@dataclass(frozen=True)
class ErasedRows:
    """What of a delivery must not be landed again.

    Attributes
    ----------
    record_ids
        Records of erased persons, in any delivery.
    source_rows
        Rows of this very file that were erased before.
    condition
        On the typed columns of a row: it names an erased customer or account. Never NULL; None
        if nobody was erased, or such rows name nobody.
    """

    record_ids: frozenset[str] = frozenset()
    source_rows: frozenset[int] = frozenset()
    condition: str | None = None


NOTHING_ERASED = ErasedRows()


@dataclass(frozen=True)
class JudgedRows:
    """A batch after judgement.

    Attributes
    ----------
    landed
        Rows to land, identifying values replaced by tokens.
    record_values
        Identifying values of those rows that belong to a record, for the vault (`sealed.RECORD_VALUES`).
    block_values
        Identifying values of the others, each distinct one once (`sealed.BLOCK_VALUES`).
    faults
        Of the rows to quarantine, by row and column.
    filtered
        Number of rows the mapping's `where` does not keep.
    erased
        Number of rows left out since their person was erased.
    unchanged
        Number of rows left out since they were landed before and are the same.
    """

    landed: pa.Table
    record_values: pa.Table
    block_values: pa.Table
    faults: list[Fault]
    filtered: int
    erased: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class _Identifying:
    """Values of an identifying column: normalised by code, the code and the token of each row, and each value once."""

    by_code: pa.Array
    codes: pa.Array
    tokens: pa.Array
    distinct: pa.Array

    @property
    def values(self) -> pa.Array:
        """The normalised value of each row: only rows that are sealed by themselves need it."""
        return pc.take(self.by_code, self.codes)


class _Tokens:
    """Tokens of the values of the last batches: to look one up costs less than to make it, and most come again."""

    def __init__(self) -> None:
        self._values = pa.array([], pa.string())
        self._tokens = pa.array([], pa.string())

    def of(self, values: pa.Array, make: Callable[[pa.Array], pa.Array]) -> pa.Array:
        """Token of each value; `make` gives those of values that were not seen lately."""
        found = pc.index_in(values, value_set=self._values)
        if len(self._values) + found.null_count > _REMEMBERED:
            # Begun anew rather than sorted by age: a batch is far smaller.
            self._values, self._tokens = self._values[:0], self._tokens[:0]
            found = pa.nulls(len(values), pa.int32())
        is_fresh = found.is_null().to_numpy(zero_copy_only=False)
        places = found.fill_null(0).to_numpy().astype(np.int64)
        places[is_fresh] = len(self._values) + np.arange(np.count_nonzero(is_fresh))
        if found.null_count:
            fresh = values.filter(pa.array(is_fresh))
            self._values = pa.concat_arrays([self._values, fresh])
            self._tokens = pa.concat_arrays([self._tokens, make(fresh)])
        return pc.take(self._tokens, pa.array(places))


@dataclass(frozen=True)
class _Check:
    column: str
    reason: str
    fails: str
    shown: str
    is_null_once_typed: bool = False


class Judge:
    """Judges the rows of one delivery.

    Parameters
    ----------
    connection
        In-memory, on which `vault.use_key` was called.
    source
        The source as the mapping declares it.
    names
        Columns of the delivery, in its own order; those not declared go to the vault whole.
    text_columns
        Those of `names` whose values come as text.
    known_on
        Date of the delivery; None for an initial load, where each row has its own.
    operation
        `upsert` or `delete`. Of a deleted row only the key must be there, and `where` is not asked.
    erased
        Rows that are left out whatever they hold.
    is_news
        Tells of rows as they would be landed which of them are new or changed; without it all are.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: SourceSpec,
        *,
        names: Sequence[str],
        text_columns: frozenset[str],
        known_on: date | None,
        operation: str,
        erased: ErasedRows = NOTHING_ERASED,
        is_news: Callable[[pa.Table], pa.Array] | None = None,
    ) -> None:
        self._connection = connection
        self._tokens = _Tokens()
        self._erased = erased
        self._is_news = is_news
        self._source = source
        self._is_delete = operation == "delete"
        self._absent = [column.name for column in source.columns if column.name not in names]
        self._text_columns = text_columns | set(self._absent)
        declared = {column.name for column in source.columns}
        self.undeclared = [name for name in names if name not in declared]
        self._operation = operation
        self._known_on = known_on
        self._required = frozenset(source.key) | {
            column.name for column in source.columns if column.required and not self._is_delete
        }
        self._position = {column.name: index for index, column in enumerate(source.columns)}
        self._checks = [check for column in source.columns for check in self._column_checks(column)]
        self._checks += self._derived_checks()
        columns: list[SourceColumn | DerivedColumn] = [*source.columns, *source.derive]
        identifying = [column.name for column in columns if column.is_identifying]
        #: Columns whose clear values go to the vault, with the name of what the query calls them.
        self._clear = {name: f"_clear_{index}" for index, name in enumerate([*identifying, *self.undeclared])}
        self._query = f"{self._steps()} {self._final_select()}"

    def judge(self, rows: pa.Table) -> JudgedRows:
        """Judge the rows of one batch.

        Raises
        ------
        UserError
            If an expression of the mapping fails. Its values are not told: they may be personal.
        """
        batch = rows
        for name in self._absent:
            batch = batch.append_column(name, pa.nulls(batch.num_rows, pa.string()))
        self._connection.register("batch", batch)
        judged = self._of_batch(self._query, batch)
        if self._erased.condition is not None:
            # Asked of what the mapping reads; it may not read identifying columns for an id.
            query = f"{self._steps()} select ({self._erased.condition}) as {_ERASED}, {SOURCE_ROW} from judged"
            judged = judged.append_column(_ERASED, self._of_batch(query, batch).column(_ERASED))
        if self._source.record is not None:
            expression = record_id_expression(self._source.source_system, "value", is_normalised=True)
            record_ids = self._hashed(judged.column(_RECORD), expression)
            judged = judged.append_column(RECORD_ID, record_ids)
        verdict = self._verdict(judged)
        faults: list[Fault] = []
        if bool((verdict == QUARANTINED).any()):
            is_faulty = pa.array(verdict == QUARANTINED)
            self._connection.register("batch", batch.filter(is_faulty))
            faults = self._faults(judged.filter(is_faulty))
        self._connection.unregister("batch")
        if bool((verdict != LANDED).any()):
            is_landed = pa.array(verdict == LANDED)
            batch, judged = batch.filter(is_landed), judged.filter(is_landed)
        clear = {
            name: self._identified(judged.column(column) if column in judged.column_names else batch.column(name))
            for name, column in self._clear.items()
        }
        landed = self._landed(batch, judged, clear)
        unchanged = 0
        if self._is_news is not None:
            is_news = self._is_news(landed)
            unchanged = landed.num_rows - int(pc.sum(is_news.cast(pa.int64())).as_py() or 0)
            if unchanged:
                # Their clear values are in the vault already.
                landed, judged = landed.filter(is_news), judged.filter(is_news)
                clear = {name: self._identified(found.values.filter(is_news)) for name, found in clear.items()}
        record_values, block_values = self._identifying_values(judged, clear)
        return JudgedRows(
            landed=landed,
            record_values=record_values,
            block_values=block_values,
            faults=faults,
            filtered=int((verdict == FILTERED).sum()),
            erased=int((verdict == ERASED).sum()),
            unchanged=unchanged,
        )

    def _of_batch(self, query: str, batch: pa.Table) -> pa.Table:
        """Result of a query over the registered batch, in its order."""
        try:
            found = self._connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise self._expression_failed(error) from None
        if not found.column(SOURCE_ROW).equals(batch.column(SOURCE_ROW)):
            raise RuntimeError("DuckDB gave the rows of a batch back in another order")
        return found

    def _verdict(self, judged: pa.Table) -> npt.NDArray[np.int64]:
        verdict: npt.NDArray[np.int64] = judged.column(_VERDICT).to_numpy()
        if not (self._erased.record_ids or self._erased.source_rows or self._erased.condition):
            return verdict
        rows = pa.array(sorted(self._erased.source_rows), pa.int64())
        is_erased = pc.is_in(judged.column(SOURCE_ROW).cast(pa.int64()), value_set=rows)
        if self._source.record is not None:
            records = pa.array(sorted(self._erased.record_ids), pa.string())
            is_erased = pc.or_(is_erased, pc.is_in(judged.column(RECORD_ID), value_set=records))
        if self._erased.condition is not None:
            is_erased = pc.or_(is_erased, judged.column(_ERASED))
        return np.where(is_erased.to_numpy(), ERASED, verdict)

    def _hashed(self, values: pa.ChunkedArray, expression: str) -> pa.Array:
        """Keyed hashes of texts, each distinct one worked out once: many rows have the same counterparty.

        `expression` is over a column `value`.
        """
        encoded = pc.dictionary_encode(values.cast(pa.string()).combine_chunks())
        distinct = encoded.dictionary
        if not len(distinct):
            return pa.nulls(len(values), pa.string())
        hashed = self._of_distinct(distinct, f"select {expression} as hashed, place from distinct_text")
        return pc.take(hashed.column("hashed").cast(pa.string()).combine_chunks(), encoded.indices)

    def _of_distinct(self, distinct: pa.Array, query: str) -> pa.Table:
        """Result of a query over `distinct_text` (value, place), in its order."""
        places = pa.array(np.arange(len(distinct)))
        table = pa.table({"value": distinct, "place": places})
        # In chunks, or one thread would do all the work.
        chunks = table.to_batches(max_chunksize=_CHUNK_ROWS)
        self._connection.register("distinct_text", pa.Table.from_batches(chunks, table.schema))
        found = self._connection.sql(query).to_arrow_table()
        self._connection.unregister("distinct_text")
        if not found.column("place").combine_chunks().equals(places):
            raise RuntimeError("DuckDB gave the values of a batch back in another order")
        return found

    def _identified(self, values: pa.ChunkedArray | pa.Array) -> _Identifying:
        """Normalised values and tokens, each distinct one worked out once."""
        texts = values.cast(pa.string())
        encoded = pc.dictionary_encode(texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts)
        by_code, codes = normalised(encoded.dictionary), encoded.indices
        if not len(by_code):
            return _Identifying(by_code, codes, pa.nulls(len(values), pa.string()), by_code)
        tokens = pc.take(self._tokens.of(by_code, self._token_of), codes)
        # Two values may have become one only where trimming changed some.
        distinct = by_code if by_code.equals(encoded.dictionary) else by_code.drop_null().unique()
        return _Identifying(by_code, codes, tokens, distinct)

    def _token_of(self, values: pa.Array) -> pa.Array:
        query = f"select {token_expression('value', is_normalised=True)} as hashed, place from distinct_text"
        return self._of_distinct(values, query).column("hashed").cast(pa.string()).combine_chunks()

    def _landed(self, batch: pa.Table, judged: pa.Table, clear: dict[str, _Identifying]) -> pa.Table:
        """As delivered: the text itself, not what was read from it. What is identifying leaves as a token."""
        columns = {
            column.name: clear[column.name].tokens
            if column.is_identifying
            else (judged if isinstance(column, DerivedColumn) else batch).column(column.name)
            for column in self._source.all_columns
        }
        if self._source.record is not None:
            columns[RECORD_ID] = judged.column(RECORD_ID)
        columns[SOURCE_ROW] = batch.column(SOURCE_ROW)
        columns["_known_on"] = judged.column("_known_on")
        columns["_is_known_on_assumed"] = pa.repeat(pa.scalar(self._known_on is None), batch.num_rows)
        columns["_operation"] = (
            pc.if_else(judged.column(_DELETED).cast(pa.bool_()), "delete", "upsert")
            if _DELETED in judged.column_names
            else pa.repeat(pa.scalar(self._operation), batch.num_rows)
        )
        return pa.table(columns)

    def _steps(self) -> str:
        delivered = ", ".join(
            f"{quote_name(column.name)} as {self._delivered(column.name)}" for column in self._source.columns
        )
        typed = ", ".join(
            f"{typed_expression(column, column.name in self._text_columns)} as {quote_name(column.name)}"
            for column in self._source.columns
        )
        undeclared = "".join(
            f", {normalised_expression(quote_name(name))} as {quote_name(name)}" for name in self.undeclared
        )
        derived = "".join(
            f", ({column.expression}) as {self._delivered(column.name)}, "
            + (f"try_cast(({column.expression}) as {column.type})" if column.type else f"({column.expression})")
            + f" as {quote_name(column.name)}"
            for column in self._source.derive
        )
        faulty = " or ".join(f"({condition})" for condition in self._fault_conditions()) or "false"
        kept = f"coalesce(({self._source.where}), false)" if self._source.where and not self._is_delete else "true"
        if self._known_on is not None:
            known_on = f"date '{self._known_on.isoformat()}'"
        else:
            own = f"try_cast(({self._source.known_on}) as date)" if self._source.known_on else "null"
            known_on = f"coalesce({own}, date '{KNOWN_FROM_THE_START.isoformat()}')"
        return f"""
            with typed as (select {typed}, {delivered}{undeclared}, {SOURCE_ROW} from batch),
            derived as (select *{derived} from typed),
            judged as (
                select
                    *,
                    case when {faulty} then {QUARANTINED} when {kept} then {LANDED} else {FILTERED} end as {_VERDICT},
                    {known_on} as _known_on
                from derived
            )"""

    def _final_select(self) -> str:
        """What has to be worked out; columns that stay as they are do not travel through the database."""
        columns = [SOURCE_ROW, _VERDICT, "_known_on"]
        if self._source.deleted_when is not None and not self._is_delete:
            columns.append(f"coalesce(({self._source.deleted_when}), false) as {_DELETED}")
        columns += [quote_name(column.name) for column in self._source.derive if not column.is_identifying]
        if self._source.record is not None:
            columns.append(f"{normalised_expression(quote_name(self._source.record))} as {_RECORD}")
        columns += [
            f"cast({quote_name(name)} as varchar) as {clear}"
            for name, clear in self._clear.items()
            if not self._is_taken_as_it_is(name)
        ]
        return f"select {', '.join(columns)} from judged"

    def _is_taken_as_it_is(self, name: str) -> bool:
        """Whether a column's text needs no reading: text without null values, but for the blank that is none anyway."""
        column = self._source.find(name)
        return (
            isinstance(column, SourceColumn)
            and column.name == name
            and column.type == "VARCHAR"
            and name in self._text_columns
            and set(column.null_values) <= {""}
        )

    def _column_checks(self, column: SourceColumn) -> list[_Check]:
        name = quote_name(column.name)
        delivered = self._delivered(column.name)
        is_null = f"{delivered} is null"
        if column.name in self._text_columns and column.null_values:
            nulls = ", ".join(quote_text(text) for text in column.null_values)
            is_null = f"({is_null} or {delivered} in ({nulls}))"
        checks = []
        if column.name in self._required:
            checks.append(("missing, but required", is_null, True))
        expected = f"{column.type} of the format {column.format}" if column.format else column.type
        if column.type != "VARCHAR" or column.name not in self._text_columns:
            checks.append((f"not a {expected}", f"{name} is null and not {is_null}", True))
        if column.type == "DOUBLE":
            checks.append(("not a finite number", f"not isfinite({name})", False))
        for bound, sign, reason in ((column.minimum, "<", "below"), (column.maximum, ">", "above")):
            if bound is not None:
                limit = f"cast({quote_text(bound)} as {column.type})"
                checks.append((f"{reason} {bound}", f"{name} {sign} {limit}", False))
        if column.values:
            allowed = ", ".join(quote_text(value) for value in column.values)
            listed = ", ".join(column.values)
            checks.append((f"not one of {listed}", f"cast({name} as varchar) not in ({allowed})", False))
        return [
            _Check(column.name, reason, f"coalesce({fails}, false)", delivered, is_null_once_typed)
            for reason, fails, is_null_once_typed in checks
        ]

    def _derived_checks(self) -> list[_Check]:
        return [
            _Check(
                column.name,
                f"not a {column.type}",
                f"{quote_name(column.name)} is null and {self._delivered(column.name)} is not null",
                self._delivered(column.name),
            )
            for column in self._source.derive
            if column.type is not None
        ]

    def _fault_conditions(self) -> list[str]:
        """The checks in fewer words: what must be there and cannot be read is NULL once typed, for either reason.

        Every row pays for these, only quarantined rows for the reasons.
        """
        return [f"{quote_name(name)} is null" for name in sorted(self._required)] + [
            check.fails for check in self._checks if not (check.is_null_once_typed and check.column in self._required)
        ]

    def _faults(self, judged: pa.Table) -> list[Fault]:
        """Every reason against each row of the batch, which holds only rows that have one."""
        records: dict[int, str | None] = {}
        if self._source.record is not None:
            records = dict(
                zip(judged.column(SOURCE_ROW).to_pylist(), judged.column(RECORD_ID).to_pylist(), strict=True)
            )
        reasons = " union all ".join(
            f"select {SOURCE_ROW} as source_row, {index} as check_number, cast({check.shown} as varchar) as value "
            f"from judged where {check.fails}"
            for index, check in enumerate(self._checks)
        )
        found = self._connection.sql(f"{self._steps()} {reasons} order by source_row, check_number").fetchall()
        return [
            Fault(row, self._checks[index].column, self._checks[index].reason, value, records.get(row))
            for row, index, value in found
        ]

    def _identifying_values(self, judged: pa.Table, clear: dict[str, _Identifying]) -> tuple[pa.Table, pa.Table]:
        """Values for the vault: as one JSON object per row of a record, and as distinct values of all other rows.

        A landed row has the token of a declared column, by which its value is found; for columns that are not
        declared, and rows of a source with records that name none, the row is kept with the value.
        """
        records, blocks = RECORD_VALUES.empty_table(), [BLOCK_VALUES.empty_table()]
        if not clear or not judged.num_rows:
            return records, blocks[0]
        rows = judged.column(SOURCE_ROW).cast(pa.int64())
        others: pa.ChunkedArray | None = None
        if self._source.record is not None:
            record_ids = judged.column(RECORD_ID).cast(pa.string())
            fields = ", ".join(f"{quote_text(name)}, {column}" for name, column in self._clear.items())
            held = " or ".join(f"{column} is not null" for column in self._clear.values())
            aliased = {self._clear[name]: found.values for name, found in clear.items()}
            values = pa.table({"record_id": record_ids, "source_row": rows, **aliased})
            self._connection.register("landed_values", values)
            records = (
                self._connection.sql(
                    f"select record_id, source_row, cast(json_object({fields}) as varchar) as payload "
                    f"from landed_values where record_id is not null and ({held})"
                )
                .to_arrow_table()
                .cast(RECORD_VALUES)
            )
            self._connection.unregister("landed_values")
            others = record_ids.is_null()
            if not pc.any(others).as_py():
                return records, blocks[0]
        for name, identifying in clear.items():
            if others is None and name not in self.undeclared:
                distinct = identifying.distinct
                found = pa.table({"source_row": pa.nulls(len(distinct), pa.int64()), "value": distinct})
            else:
                found = pa.table({"source_row": rows, "value": identifying.values})
                found = found.filter(others) if others is not None else found
                found = found.filter(found["value"].is_valid())
            names = pa.repeat(pa.scalar(name), found.num_rows)
            blocks.append(pa.table([names, found["source_row"], found["value"]], schema=BLOCK_VALUES))
        return records, pa.concat_tables(blocks)

    def _delivered(self, name: str) -> str:
        """What the query calls a column as it was delivered, beside its typed value."""
        if name in self._position:
            return f"_delivered_{self._position[name]}"
        return f"_derived_{[column.name for column in self._source.derive].index(name)}"

    def _expression_failed(self, error: duckdb.Error) -> UserError:
        if isinstance(error, duckdb.OutOfMemoryException):
            return UserError(
                "not enough memory to land a batch of rows",
                where="bank.yml: resources.memory_limit",
                found=f"source {self._source.name}: a batch of rows needs more than is allowed",
                next_step="raise the limit",
            )
        expressions = [f"derive.{column.name}: {column.expression}" for column in self._source.derive]
        expressions += [
            f"{label}: {text}"
            for label, text in (
                ("known_on", self._source.known_on),
                ("where", self._source.where),
                ("deleted_when", self._source.deleted_when),
            )
            if text
        ]
        # DuckDB quotes values in messages of conversions: those are not passed on.
        is_about_text = isinstance(error, (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException))
        detail = str(error).splitlines()[0] if is_about_text else type(error).__name__
        return UserError(
            "an expression of the mapping fails on the rows of a source",
            where=f"sources.{self._source.name}: {'; '.join(expressions) or 'its columns'}",
            found=detail,
            valid="an expression that gives NULL for what it cannot read, for example with try_cast or try_strptime",
            next_step="correct the mapping",
        )
