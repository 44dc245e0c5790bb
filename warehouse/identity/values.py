"""What records are compared by: clear values out of the vault, made comparable, in a database that never leaves it.

The database is in memory and spills into the folder of the vault. It knows records by numbers of this run alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from warehouse.home import Home
from warehouse.sources.bank import Bank
from warehouse.sources.specification import quote_text
from warehouse.vault import held_keys, read_sealed_values, token_expression, use_key
from warehouse.vault.files import spill_folder

ROLE, PURPOSE = "identity", "identity_resolution"
#: Direct identifiers that records are compared by.
IDENTIFIERS = ("name", "id_number", "mobile", "email", "address")
#: 20 hex digits are 80 bits: among a hundred million values two tokens are alike with probability 4e-9.
_TOKEN_DIGITS = 20
_WIDE = "".join(map(chr, range(0xFF01, 0xFF5F)))
_NARROW = "".join(map(chr, range(0x21, 0x7F)))
#: Of a value that many records share (a hotel's address, a made-up telephone number) the first so many records are
#: compared with each other over it, the others not: n records are n(n-1)/2 pairs. The first ones in the order of
#: knowledge, so that a later record never undoes an earlier comparison. Households and dormitory rooms are smaller.
MOST_RECORDS_OF_A_VALUE = 50
#: A document number that more records give than this was typed to get past a form, or stands for "not known": it says
#: nothing of any of them. A person has a record in each system (three or four of them hold customers) and seldom a
#: second one in one; the sample bank knows nobody more than three times. Of all records, not of the first ones: the
#: first ten strangers of a made-up number are no more one person than the others.
MOST_RECORDS_OF_A_DOCUMENT = 10


@contextmanager
def walls(home: Home, bank: Bank) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database inside the vault's walls: in memory, spilling into the vault, gone when it is closed.

    The vault is held meanwhile: nobody exchanges its keys, erases, or takes the spill for a leftover.
    """
    settings = bank.settings.resources
    with (
        held_keys(home.vault) as keys,
        duckdb.connect(
            ":memory:",
            config={
                "memory_limit": settings.memory_limit,
                "threads": settings.threads,
                "temp_directory": spill_folder(home.vault),
                "preserve_insertion_order": False,
            },
        ) as connection,
    ):
        use_key(connection, keys.token)
        yield connection


def number_records(warehouse: duckdb.DuckDBPyConnection) -> int:
    """Make `temp.numbered_record`: records in the order in which they were known; how many there are.

    The first one of a person is the one the person goes by: `own_id` is the id it founds.
    """
    warehouse.execute(
        """
        create or replace temp table numbered_record as
        with first_version as (
            select record_id, source_system, source_customer_id, registered_on, known_on
            from raw.customers
            where operation = 'upsert'
            qualify row_number() over (
                partition by source_system, source_customer_id order by known_on, source_row, row_hash
            ) = 1
        )

        select
            cast(row_number() over (order by known_on, registered_on nulls last, source_system, source_customer_id)
                as bigint) as record,
            record_id,
            source_system,
            source_customer_id,
            left(
                sha256(
                    concat(
                        coalesce(cast(registered_on as varchar), ''), '|', source_system, '|', source_customer_id
                    )
                ),
                16
            ) as own_id,
            known_on
        from first_version
        """
    )
    (count,) = warehouse.execute("select count(*) from temp.numbered_record").fetchall()[0]
    return int(count)


def gather(
    warehouse: duckdb.DuckDBPyConnection, inside: duckdb.DuckDBPyConnection, home: Home, bank: Bank, *, who: str
) -> None:
    """Make table `node` inside the walls: each distinct statement of each record, ready to be compared.

    Parameters
    ----------
    warehouse
        Holds `raw.customers` and `temp.numbered_record`.
    inside
        A database of `walls`.
    home, bank
        The installation and its bank.
    who
        Account that reads the vault.
    """
    tokens = ", ".join(f"left(c.{name}_token, {_TOKEN_DIGITS}) as {name}" for name in IDENTIFIERS)
    versions = warehouse.sql(
        f"""
        select n.record, c.party_type, c.id_type, c.born_on, {tokens}, min(c.known_on) as known_on
        from raw.customers as c
        inner join temp.numbered_record as n
            on c.source_system = n.source_system and c.source_customer_id = n.source_customer_id
        where c.operation = 'upsert'
        group by all
        """
    )
    inside.register("version_arrow", versions.to_arrow_table())
    inside.execute("create table version as from version_arrow")
    inside.unregister("version_arrow")
    _read_values(inside, home, bank, who)
    _normalise(inside)


def _read_values(inside: duckdb.DuckDBPyConnection, home: Home, bank: Bank, who: str) -> None:
    """Make table `clear`: value by token. Tokens join them to the contract's columns, whatever the mapping does."""
    inside.execute("create table clear (token varchar, value varchar)")
    for values in read_sealed_values(home, bank.name, bank.mapping, purpose=PURPOSE, role=ROLE, who=who):
        inside.register("sealed_value", pa.table({"value": values}))
        inside.execute(
            f"insert into clear select left({token_expression('value')}, {_TOKEN_DIGITS}), value from sealed_value"
        )
        inside.unregister("sealed_value")
    # Values of one token differ by blanks at most.
    inside.execute("create or replace table clear as select token, min(value) as value from clear group by token")


def _normalise(inside: duckdb.DuckDBPyConnection) -> None:
    # Takes a third of a second to import: not where no customer changed.
    from warehouse.identity.names import cleaned_firm_name, compared_names  # noqa: PLC0415

    personal = inside.execute(
        "select distinct c.value from clear as c semi join version as v on v.name = c.token and "
        "v.party_type = 'personal' order by 1"
    ).fetchall()
    inside.register("compared_name_arrow", compared_names(name for (name,) in personal))
    inside.execute("create table compared_name as from compared_name_arrow")
    inside.unregister("compared_name_arrow")
    firms = inside.execute(
        "select distinct c.value from clear as c semi join version as v on v.name = c.token and "
        "v.party_type = 'corporate' order by 1"
    ).fetchall()
    inside.execute("create table firm_name (name varchar, cleaned varchar)")
    if firms:
        inside.executemany(
            "insert into firm_name values (?, ?)", [[name, cleaned_firm_name(name)] for (name,) in firms]
        )
    joins = " ".join(f"left join clear as {name}_of on v.{name} = {name}_of.token" for name in IDENTIFIERS)
    inside.execute(
        f"""
        create table node as
        with stated as (
            select
                v.record,
                v.known_on,
                v.party_type,
                lower(trim(v.id_type)) as id_type,
                v.born_on,
                name_of.value as name,
                regexp_replace(upper({_narrow("id_number_of.value")}), '[^0-9A-Z]', '', 'g') as number,
                regexp_replace({_narrow("mobile_of.value")}, '[^0-9]', '', 'g') as digits,
                lower(trim({_narrow("email_of.value")})) as email,
                regexp_replace(lower({_narrow("address_of.value")}), '[\\s\\p{{P}}]+', '', 'g') as address
            from version as v
            {joins}
        ),

        cleaned as (
            select
                *,
                -- a number of one digit repeated was typed to get past a form, one without any digit is a word
                case
                    when
                        length(number) >= 5 and replace(number, left(number, 1), '') <> ''
                        and regexp_matches(number, '[0-9]')
                        then number
                end as document,
                concat(left(number, 6), '19', substr(number, 7, 9)) as seventeen,
                regexp_replace(digits, '^(00)?86(1[0-9]{{10}})$', '\\2') as telephone
            from stated
        )

        select
            row_number() over (
                order by
                    c.record, c.known_on,
                    hash(c.name, c.document, c.telephone, c.email, c.address, c.born_on, c.id_type, c.party_type)
            ) as node,
            c.record,
            c.known_on,
            c.party_type,
            coalesce(n.letters, f.cleaned) as letters,
            n.letters_sorted,
            n.sound,
            n.sound_sorted,
            n.initials,
            strftime(c.born_on, '%Y%m%d') as born,
            -- an identity card's number of fifteen digits lacks the century and the check digit
            case
                when c.party_type = 'personal' and regexp_full_match(c.document, '[0-9]{{15}}')
                    then concat(seventeen, {_check_digit("seventeen")})
                else c.document
            end as document,
            case
                when c.document is null then null
                when c.party_type <> 'personal' then 'registration'
                when regexp_full_match(c.document, '[0-9]{{17}}[0-9X]|[0-9]{{15}}') then 'identity_card'
                else coalesce(c.id_type, '')
            end as document_type,
            case
                when length(telephone) >= 7 and replace(telephone, left(telephone, 1), '') <> '' then telephone
            end as mobile,
            case when email like '%_@_%' then email end as email,
            nullif(address, '') as address,
            nullif(trim(regexp_replace(address, '[^0-9]+', '-', 'g'), '-'), '') as address_numbers
        from cleaned as c
        left join compared_name as n on c.name = n.name and c.party_type = 'personal'
        left join firm_name as f on c.name = f.name and c.party_type = 'corporate'
        """
    )
    for table in ("version", "clear", "compared_name", "firm_name"):
        inside.execute(f"drop table {table}")
    inside.execute(
        f"""
        update node set document = null, document_type = null
        from (
            select party_type, document_type, document
            from node
            where document is not null
            group by all
            having count(distinct record) > {MOST_RECORDS_OF_A_DOCUMENT}
        ) as shared
        where
            node.party_type = shared.party_type
            and node.document_type = shared.document_type
            and node.document = shared.document
        """
    )


def _check_digit(sql: str) -> str:
    """Last character of an identity card's number, of the seventeen digits before it (GB 11643-1999)."""
    weighted = " + ".join(
        f"cast(substr({sql}, {place}, 1) as integer) * {2 ** (18 - place) % 11}" for place in range(1, 18)
    )
    return f"substr('10X98765432', ({weighted}) % 11 + 1, 1)"


def _narrow(sql: str) -> str:
    # `translate` makes its table for every row: only where there is something to translate.
    translated = f"translate({sql}, {quote_text(_WIDE)}, {quote_text(_NARROW)})"
    return f"case when regexp_matches({sql}, '[{_WIDE[0]}-{_WIDE[-1]}]') then {translated} else {sql} end"


#: By what records are brought together to be compared: each equal key is a block.
KEYS = {
    "key_document": "case when party_type = 'personal' then concat(document_type, '|', document) end",
    "key_mobile": "mobile",
    "key_email": "email",
    "key_address": "address",
    # The first letters of the sounds in any order: whoever is the same by sound or by letters is in one block.
    "key_birth": "case when initials is not null then concat(born, '|', initials) end",
}


def block(inside: duckdb.DuckDBPyConnection) -> int:
    """Make tables `candidate`, statements of persons that share a key with another record, and `firm`.

    Returns
    -------
    int
        Rows of `candidate`.
    """
    inside.execute(
        f"""
        create table firm as
        from node
        where party_type = 'corporate' and letters is not null
        qualify dense_rank() over (partition by letters order by record) <= {MOST_RECORDS_OF_A_VALUE}
        """
    )
    keys = ", ".join(f"nullif({sql}, '') as {name}" for name, sql in KEYS.items())
    inside.execute(f"create table keyed as select node, record, {keys} from node where party_type = 'personal'")
    for name in KEYS:
        inside.execute(
            f"""
            create table block_{name} as
            with shared as (
                select {name} from keyed where {name} is not null
                group by {name} having count(distinct record) > 1
            )

            select node, {name}
            from keyed semi join shared using ({name})
            qualify dense_rank() over (partition by {name} order by record) <= {MOST_RECORDS_OF_A_VALUE}
            """
        )
    joins = " ".join(f"left join block_{name} using (node)" for name in KEYS)
    inside.execute(
        f"""
        create table candidate as
        select n.*, {", ".join(KEYS)}
        from node as n {joins}
        where coalesce({", ".join(KEYS)}) is not null
        order by n.node
        """
    )
    for name in ("keyed", *(f"block_{name}" for name in KEYS)):
        inside.execute(f"drop table {name}")
    (count,) = inside.execute("select count(*) from candidate").fetchall()[0]
    return int(count)
