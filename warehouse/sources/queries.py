"""The SQL that turns landed rows into rows of a contract table: typing, lookups over time, translation, judgement.

Every step is a named relation, so that a query can be read and run by hand. Nothing is executed here except that
expressions are parsed.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, replace

import duckdb

from warehouse.contract.model import Column, Table, load_contract
from warehouse.sources.expressions import parse_expression
from warehouse.sources.specification import (
    CodeTranslation,
    DerivedColumn,
    LookupSpec,
    Mapping,
    SelectSpec,
    SourceColumn,
    SourceSpec,
    quote_name,
    quote_text,
    typed_expression,
)

#: End of a period that is still running; half-open periods, as everywhere in the warehouse.
OPEN_END = "date '9999-12-31'"
#: Added by landing (and, for the last two, by the query over its files) to the source's own columns.
LANDED_COLUMNS = {
    "_source_row": "BIGINT",
    "_known_on": "DATE",
    "_is_known_on_assumed": "BOOLEAN",
    "_operation": "VARCHAR",
    "_delivery_id": "VARCHAR",
    "_landed_at": "TIMESTAMP",
}
#: Macro that expressions may call: a wall-clock time of the bank as UTC.
BANK_TIME_MACRO = "bank_time_to_utc"


def create_bank_time_macro(connection: duckdb.DuckDBPyConnection, time_zone: str) -> None:
    """Define `bank_time_to_utc(date or timestamp)` for the expressions of a mapping, on this connection only.

    A day without a time is its midnight at the bank. A wall-clock time that the end of summer time repeats is
    taken as the later one, one that its beginning skips as an hour later: DuckDB's (ICU's) reading.
    """
    connection.execute(
        f"create or replace temporary macro {BANK_TIME_MACRO}(wall_clock) as "
        f"timezone('UTC', timezone({quote_text(time_zone)}, cast(wall_clock as timestamp)))"
    )


def clear_relation(source: SourceSpec) -> str:
    """Empty relation of the typed, clear columns that expressions at landing see, to bind them against."""
    columns = ", ".join(f"cast(null as {column.type}) as {quote_name(column.name)}" for column in source.columns)
    return f"(select {columns} limit 0)"


def landed_column_type(column: SourceColumn | DerivedColumn) -> str:
    """Type in which registration sees a landed column: identifying ones are tokens."""
    return "VARCHAR" if column.is_identifying or column.type is None else column.type


def empty_landed_relation(source: SourceSpec, derived_types: Dictionary[str, str] | None = None) -> str:
    """Empty relation of the columns that expressions at registration see.

    Parameters
    ----------
    source
        The source.
    derived_types
        Types of derived columns that the mapping does not state.
    """
    types = {column.name: landed_column_type(column) for column in source.all_columns}
    for derived in source.derive:
        if derived_types and derived.type is None and not derived.is_identifying:
            types[derived.name] = derived_types[derived.name]
    types |= {"record_id": "VARCHAR", **LANDED_COLUMNS}
    columns = ", ".join(f"cast(null as {kind}) as {quote_name(name)}" for name, kind in types.items())
    return f"(select {columns} limit 0)"


def landed_relation(source: SourceSpec, files: list[str], landed_types: Dictionary[str, str], deliveries: str) -> str:
    """Query over landed Parquet files that gives the source's columns typed, derived ones and those of landing.

    Parameters
    ----------
    source
        The source.
    files
        Paths of the landed files; at least one.
    landed_types
        Type of each column in the files. A declared column that no file has is NULL.
    deliveries
        Relation (`delivery_id`, `landed_at`).
    """
    columns = []
    for column in source.all_columns:
        # What was landed under another name before the mapping said so is the column all the same.
        others = () if isinstance(column, DerivedColumn) else column.delivered_as
        values = []
        for there in (name for name in (column.name, *others) if name in landed_types):
            if isinstance(column, DerivedColumn) or column.is_identifying:
                values.append(quote_name(there))
            else:
                values.append(typed_expression(replace(column, name=there), landed_types[there] == "VARCHAR"))
        value = f"cast(null as {landed_column_type(column)})" if not values else values[0]
        if len(values) > 1:
            value = f"coalesce({', '.join(values)})"
        columns.append(f"{value} as {quote_name(column.name)}")
    record = "record_id" if "record_id" in landed_types else "cast(null as varchar)"
    paths = ", ".join(quote_text(file) for file in files)
    own = ",\n        ".join([*columns, f"{record} as record_id"])
    return f"""(
    select
        {own},
        _source_row, _known_on, _is_known_on_assumed, _operation, delivery_id as _delivery_id, landed_at as _landed_at
    from read_parquet([{paths}], union_by_name = true, filename = '_file') as landed
    inner join {deliveries} as delivery on delivery.delivery_id = parse_filename(landed._file, true)
)"""


def values_with_defaults(mapping: Mapping, table: Table, select: SelectSpec) -> dict[str, str | CodeTranslation]:
    """Contract column -> value of a select from a source, with the source systems filled in where they go unsaid."""
    values = dict(select.columns)
    if select.source is None:
        return values
    system = quote_text(mapping.sources[select.source].source_system)
    if table.column("source_system") and "source_system" not in values:
        values["source_system"] = system
    if table.column("customer_source_system") and "customer_source_system" not in values:
        customer = values.get("source_customer_id")
        if isinstance(customer, str):
            # The other half of the pair: absent where the customer is.
            values["customer_source_system"] = f"case when ({customer}) is not null then {system} end"
    return values


@dataclass(frozen=True)
class NamedId:
    """How a row of a source names a customer or an account: expressions over its landed columns."""

    kind: str
    system: str
    identity: str


def named_ids(connection: duckdb.DuckDBPyConnection, mapping: Mapping, source: SourceSpec) -> tuple[NamedId, ...]:
    """Customers and accounts that a row of a source names by itself, as the mapping reads them.

    What it names only through a lookup, or a code table, is known at registration.
    """
    found = []
    for table, select in selects_of(mapping, source):
        values = values_with_defaults(mapping, table, select)
        lookups = {lookup.name.lower() for lookup in select.lookups}
        customer = "customer_source_system" if table.column("customer_source_system") else "source_system"
        for kind, system, identity in (
            ("customer", values.get(customer), values.get("source_customer_id")),
            ("account", values.get("source_system"), values.get("account_id")),
        ):
            if not isinstance(system, str) or not isinstance(identity, str):
                continue
            read = [ref for text in (system, identity) for ref in parse_expression(connection, text).references]
            if not any(len(ref) > 1 and ref[0].lower() in lookups for ref in read):
                found.append(NamedId(kind, system, identity))
    return tuple(dict.fromkeys(found))


def selects_of(mapping: Mapping, source: SourceSpec) -> Iterator[tuple[Table, SelectSpec]]:
    """Selects that a source drives, with the contract tables they fill."""
    tables = load_contract().tables
    for name, spec in mapping.tables.items():
        for select in spec.selects:
            if select.source == source.name:
                yield tables[name], select


def record_relation(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, select: SelectSpec
) -> tuple[str, ...] | None:
    """Reference to the `record_id` of the customer a row names: of its source, or of a lookup.

    It is there if `source_customer_id` is fed by the bare column that its source declares as `record`.
    """
    value = dict(select.columns).get("source_customer_id")
    if not isinstance(value, str) or select.source is None:
        return None
    expression = parse_expression(connection, value)
    if not expression.is_bare:
        return None
    names = expression.references[0]
    sources = {lookup.name.lower(): lookup.source for lookup in select.lookups}
    if len(names) == 1:
        record = mapping.sources[select.source].record
        return ("record_id",) if record and record.lower() == names[0].lower() else None
    looked_up = mapping.sources.get(sources.get(names[0].lower(), ""))
    if looked_up is None or looked_up.record is None or looked_up.record.lower() != names[-1].lower():
        return None
    return (names[0], "record_id")


def column_class(mapping: Mapping, select: SelectSpec, reference: tuple[str, ...]) -> str:
    """Class of personal data of the source column that a reference of a select reads."""
    sources = {lookup.name.lower(): lookup.source for lookup in select.lookups}
    name = sources.get(reference[0].lower()) if len(reference) > 1 else select.source
    source = mapping.sources.get(name or "")
    column = source.find(reference[-1]) if source else None
    return column.personal_data if column else "none"


@dataclass(frozen=True)
class Judgement:
    """What may be wrong with one column of a candidate row: conditions on `candidate`, each with its reason."""

    position: int
    faults: tuple[tuple[str, str], ...]

    @property
    def reason(self) -> str:
        """Expression on `candidate`: why the column cannot be registered, NULL if it can."""
        branches = " ".join(f"when {test} then {quote_text(why)}" for test, why in self.faults)
        return f"case {branches} end"


@dataclass(frozen=True)
class CandidateQuery:
    """Rows of one select in the contract's form, and how to tell which of them cannot be registered.

    `steps` are common table expressions; the last one, `candidate`, has the raw contract columns, the delivery
    columns with a leading underscore, `_record_id`, `_from` (known from), `_is_final` (the last state of its landed
    row) and, for each of `translated`, `_of_<position>` (the source's own code). `masked` are the positions of
    columns that read classed ones.
    """

    steps: str
    table: Table
    judgements: tuple[Judgement, ...]
    translated: tuple[tuple[int, CodeTranslation], ...]
    masked: frozenset[int]

    @property
    def is_faulty(self) -> str:
        """Condition on `candidate`, never NULL: the row cannot be registered."""
        tests = [test for judgement in self.judgements for test, _ in judgement.faults]
        return f"({' or '.join(tests)}) is true" if tests else "false"


def candidate_query(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    table: Table,
    select: SelectSpec,
    relations: Dictionary[str, str],
) -> CandidateQuery:
    """Query that reads the landed rows of a select's source as rows of a contract table.

    Parameters
    ----------
    connection
        Used to parse expressions only.
    mapping, table, select
        What to map; the mapping is valid.
    relations
        For each source the select reads, the relation of its landed rows (see `landed_relation`).
    """
    if select.source is None:
        raise ValueError("constant rows have no source to query")
    values = values_with_defaults(mapping, table, select)
    record = record_relation(connection, mapping, select) if table.belongs_to_customer else None
    steps, state = _state_steps(connection, mapping, select, relations)

    valued, translated, masked = [], [], set()
    for i, column in enumerate(table.columns):
        value = values.get(column.name)
        if value is None:
            continue
        expression = value.of if isinstance(value, CodeTranslation) else value
        if any(
            column_class(mapping, select, reference) != "none"
            for reference in parse_expression(connection, expression).references
        ):
            masked.add(i)
        if isinstance(value, CodeTranslation):
            translated.append((i, value))
            valued.append(f"cast((\n{value.of}\n) as varchar) as _of_{i}")
        else:
            valued.append(f"(\n{value}\n) as _value_{i}")
    reference_sql = ".".join(quote_name(part) for part in record) if record else "cast(null as varchar)"
    valued.append(f"{reference_sql} as _record_id")
    valued.extend([*LANDED_COLUMNS, "_from", "_is_final", "_is_assumed"])
    # A deletion may bring nothing but its key: no condition can be asked of it.
    condition = f"(\n{select.where}\n) or _operation = 'delete'" if select.where else "true"
    separator = ",\n        "
    steps.append(
        f"valued as (\n    select\n        {separator.join(valued)}\n    from {state}\n    where {condition}\n)"
    )

    columns, judgements = [], []
    for i, column in enumerate(table.columns):
        value = values.get(column.name)
        name = quote_name(column.raw_name)
        if value is None:
            columns.append(f"cast(null as {column.raw_type}) as {name}")
        elif isinstance(value, CodeTranslation):
            columns.append(f"{_translation(mapping, value, f'_of_{i}')} as {name}")
        else:
            columns.append(f"try_cast(_value_{i} as {column.raw_type}) as {name}")
        faults = _faults(column, value, f"_value_{i}")
        if column.name not in table.key:
            # A deletion need bring nothing but its key.
            faults = [(f"_operation <> 'delete' and {test}", why) for test, why in faults]
        if faults:
            judgements.append(Judgement(i, tuple(faults)))
    steps.append("candidate as (\n    select\n        " + separator.join([*columns, "*"]) + "\n    from valued\n)")
    return CandidateQuery("with\n" + ",\n".join(steps), table, tuple(judgements), tuple(translated), frozenset(masked))


def lookup_versions(lookup: LookupSpec, source: SourceSpec, relation: str, fields: list[str]) -> str:
    """Query of a lookup's rows as half-open periods of known time: what was known of each key, from when to when.

    Columns: `_on_<i>` (what it is joined on), the lookup's name (a struct of `fields`), `_lookup_from`,
    `_lookup_until`, `_lookup_row`, `_lookup_hash`, `_lookup_assumed`.
    """
    on = ",\n        ".join(f"{quote_name(column)} as _on_{i}" for i, (column, _) in enumerate(lookup.on))
    packed = ", ".join(f"{quote_name(field)} := {quote_name(field)}" for field in fields)
    condition = f"(\n{lookup.where}\n)" if lookup.where else "true"
    return f"""(
    select
        {on},
        struct_pack({packed}) as {quote_name(lookup.name)},
        _known_on as _lookup_from,
        _until as _lookup_until,
        _source_row as _lookup_row,
        _row_hash as _lookup_hash,
        _is_known_on_assumed as _lookup_assumed
    from ({_periods(source, relation)})
    where _operation = 'upsert' and _known_on < _until and {condition}
)"""


def lookup_fields(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    select: SelectSpec,
    lookup: LookupSpec,
) -> list[str]:
    """Columns of a lookup that the select reads, and its record; its key if none (a struct needs a field)."""
    values = dict(select.columns)
    record = record_relation(connection, mapping, select)
    texts = [value.of if isinstance(value, CodeTranslation) else value for value in values.values()]
    texts += [text for other in select.lookups for _, text in other.on]
    texts += [select.where] if select.where else []
    references = [ref for text in texts for ref in parse_expression(connection, text).references]
    references += [record] if record else []
    read = {ref[1].lower() for ref in references if len(ref) > 1 and ref[0].lower() == lookup.name.lower()}
    source = mapping.sources[lookup.source]
    names = [name for name in (*source.column_names, "record_id") if name.lower() in read]
    return names or [source.key[0]]


def row_hash(table: Table) -> str:
    """sha256 over the contract columns of a row: a unit separator between them, NULL told from empty text."""
    parts = ", ".join(f"coalesce(cast({quote_name(c.raw_name)} as varchar), chr(1))" for c in table.columns)
    return f"sha256(concat_ws(chr(31), {parts}))"


def _state_steps(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    select: SelectSpec,
    relations: Dictionary[str, str],
) -> tuple[list[str], str]:
    """Steps up to the relation that the select's expressions are evaluated on, and its name.

    Without lookups that is each landed row once. With lookups, a row has one state per period in which what was
    known of it and of all its lookups did not change, known from the period's beginning: so a correction of a
    looked-up row is a new version from the day it was delivered, and earlier days are not rewritten. It does not
    matter in which order the deliveries arrived.
    """
    source = mapping.sources[str(select.source)]
    relation = relations[source.name]
    if not select.lookups:
        own = "*, _known_on as _from, true as _is_final, _is_known_on_assumed as _is_assumed"
        return [f"state_0 as (\n    select {own}\n    from {relation}\n)"], "state_0"
    steps = [
        f"""state_0 as (
    select *, _known_on as _from, _until as _row_until, _is_known_on_assumed as _is_assumed
    from ({_periods(source, relation)})
)"""
    ]
    row = "_delivery_id, _source_row"
    for k, lookup in enumerate(select.lookups, start=1):
        before = f"state_{k - 1}"
        fields = lookup_fields(connection, mapping, select, lookup)
        versions = lookup_versions(lookup, mapping.sources[lookup.source], relations[lookup.source], fields)
        sought = ", ".join(f"(\n{text}\n) as _sought_{i}" for i, (_, text) in enumerate(lookup.on))
        match = " and ".join(f"_sought_{i} = _on_{i}" for i in range(len(lookup.on)))
        steps += [
            f"lookup_{k} as materialized {versions}",
            f"sought_{k} as (\n    select *, {sought} from {before}\n)",
            f"""instant_{k} as (
    select {row}, _from, _until, _from as _at from sought_{k}
    union
    select {row}, _from, _until, _lookup_from from sought_{k} inner join lookup_{k} on {match}
    where _from < _lookup_from and _lookup_from < _until
    union
    select {row}, _from, _until, _lookup_until from sought_{k} inner join lookup_{k} on {match}
    where _from < _lookup_until and _lookup_until < _until
)""",
            f"""period_{k} as (
    select {row}, _from, _at, lead(_at, 1, _until) over (partition by {row}, _from order by _at) as _next
    from instant_{k}
)""",
            f"""state_{k} as (
    select
        sought.* exclude (_from, _until, _is_assumed, {", ".join(f"_sought_{i}" for i in range(len(lookup.on)))}),
        period._at as _from,
        period._next as _until,
        case when period._at > sought._from and looked_up._lookup_from = period._at
            then looked_up._lookup_assumed else sought._is_assumed end as _is_assumed,
        looked_up.{quote_name(lookup.name)}
    from sought_{k} as sought
    inner join period_{k} as period
        on sought._delivery_id = period._delivery_id
        and sought._source_row = period._source_row
        and sought._from = period._from
    left join lookup_{k} as looked_up
        on {match} and looked_up._lookup_from <= period._at and period._at < looked_up._lookup_until
    -- Two rows of a lookup may overlap for a while in the past: the later one counts.
    qualify row_number() over (
        partition by sought._delivery_id, sought._source_row, period._at
        order by looked_up._lookup_from desc, looked_up._lookup_row desc, looked_up._lookup_hash desc
    ) = 1
)""",
        ]
    last = len(select.lookups)
    steps.append(f"state as (\n    select *, _until = _row_until as _is_final from state_{last}\n)")
    return steps, "state"


def _periods(source: SourceSpec, relation: str) -> str:
    """Query that adds `_until` to landed rows: the day the next version of the same key was known."""
    key = ", ".join(quote_name(name) for name in source.key)
    columns = ", ".join(f"cast({quote_name(name)} as varchar)" for name in source.column_names)
    return f"""
    select
        *,
        coalesce(
            lead(_known_on) over (partition by {key} order by _known_on, _source_row, _row_hash, _delivery_id),
            {OPEN_END}
        ) as _until
    from (select *, sha256(concat_ws(chr(31), {columns})) as _row_hash from {relation})
"""


def _translation(mapping: Mapping, value: CodeTranslation, of: str) -> str:
    codes = mapping.codes[value.code]
    branches = [f"when {quote_text(code)} then {_literal(to)}" for code, to in codes.items() if code is not None]
    otherwise = _literal(value.otherwise)
    known = f"case {of} {' '.join(branches)} else {otherwise} end" if branches else otherwise
    if None in codes:
        known = f"case when {of} is null then {_literal(codes[None])} else {known} end"
    return f"cast({known} as varchar)"


def _literal(text: str | None) -> str:
    return "null" if text is None else quote_text(text)


def _faults(column: Column, value: str | CodeTranslation | None, evaluated: str) -> list[tuple[str, str]]:
    """Conditions under which a typed contract column cannot be registered, each with the reason."""
    name = quote_name(column.raw_name)
    faults = []
    if column.required:
        faults.append((f"{name} is null", "required and absent"))
    if isinstance(value, str):
        if column.raw_type != "VARCHAR":
            faults.insert(0, (f"{evaluated} is not null and {name} is null", f"does not fit {column.raw_type}"))
        # What a code table gives is in the contract's list: validation has seen to it.
        if column.values and not column.is_identifying:
            allowed = ", ".join(quote_text(item) for item in column.values)
            faults.append((f"{name} not in ({allowed})", f"not one of {', '.join(column.values)}"))
        for bound, sign, word in ((column.minimum, "<", "below"), (column.maximum, ">", "above")):
            if bound is not None:
                faults.append((f"{name} {sign} cast({quote_text(bound)} as {column.type})", f"{word} {bound}"))
    return faults


def conflicting_lookup_key(lookup: LookupSpec, versions: str) -> str:
    """Query that gives one key for which a lookup has several rows now, with their number; nothing if it has none."""
    on = ", ".join(f"_on_{i}" for i in range(len(lookup.on)))
    return f"""
    select concat_ws(', ', {on}) as sought, count(*) as rows
    from {versions}
    where _lookup_until = {OPEN_END}
    group by {on}
    having count(*) > 1
    order by sought
    limit 1
    """
