"""Keyed tokens and masks: what of an identifying value may be seen outside the vault.

Tokens are worked out in SQL; keys and the sealed values themselves belong to the modules beside this one.
"""

from __future__ import annotations

import hmac

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

_BLOCK_BYTES = 64  # block size of SHA-256, as in RFC 2104
_SEPARATOR = "\x1f"
#: What is cut off around a value: blank, tab, line ends, no-break and ideographic space. Named one by one, since what
#: a database calls blank changes with its version, and with it every token would.
BLANKS = " \t\r\n\u00a0\u3000"


def key_id(key: bytes) -> str:
    """A name for the key that does not betray it, kept in the ledger: tokens of two keys must never be mixed."""
    return hmac.new(key, f"key{_SEPARATOR}".encode(), "sha256").hexdigest()[:16]


def use_key(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Give a connection the key, so that `token_expression` works in its SQL.

    The padded keys of RFC 2104 are session variables, never text of a statement: statements are printed in errors.
    """
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    connection.execute("set variable vault_inner = ?::blob", [bytes(byte ^ 0x36 for byte in padded)])
    connection.execute("set variable vault_outer = ?::blob", [bytes(byte ^ 0x5C for byte in padded)])


def normalised_expression(sql: str) -> str:
    """SQL for a value as text without blanks around it; NULL if nothing is left."""
    return f"nullif(trim(cast({sql} as varchar), '{BLANKS}'), '')"


def normalised(values: pa.StringArray) -> pa.StringArray:
    """What `normalised_expression` gives, outside the database, where trimming takes half as long as a hash.

    Parameters
    ----------
    values
        Texts.
    """
    trimmed = pc.utf8_trim(values, characters=BLANKS)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def token_expression(sql: str, *, is_normalised: bool = False) -> str:
    """SQL for the keyed token of a value: HMAC-SHA-256, 64 hex digits.

    Values that differ only by blanks around them have the same token. NULL and blank text have none.

    Parameters
    ----------
    sql
        Expression of the clear value, of any type.
    is_normalised
        Whether it is what `normalised_expression` gives already.

    Returns
    -------
    str
        Expression of type VARCHAR, for a connection that `use_key` was called on.
    """
    return _keyed_hash("value", sql if is_normalised else normalised_expression(sql))


def record_id_expression(source_system: str, id_sql: str, *, is_normalised: bool = False) -> str:
    """SQL for the pseudonym of a source record: HMAC-SHA-256 of source system and source id, 64 hex digits.

    Parameters
    ----------
    source_system
        The system whose id it is.
    id_sql
        Expression of the id within that system; NULL gives NULL.
    is_normalised
        Whether it is what `normalised_expression` gives already.
    """
    system = source_system.replace("'", "''")
    text = id_sql if is_normalised else normalised_expression(id_sql)
    return _keyed_hash(f"record{_SEPARATOR}{system}", text)


def _keyed_hash(domain: str, text_sql: str) -> str:
    # The domain keeps a record id from being equal to the token of a value with the same text.
    # DuckDB's `||` of blobs and `encode` (text to its UTF-8 bytes) make this byte for byte Python's hmac. The padded
    # key and the domain are joined first: constants, worked out once (it halves the time).
    message = f"(getvariable('vault_inner') || encode('{domain}{_SEPARATOR}')) || encode({text_sql})"
    return f"sha256(getvariable('vault_outer') || unhex(sha256({message})))"


def mask(value: str | None, personal_data: str) -> str | None:
    """A value as it may be shown in a message, a log or a sample.

    Long numbers of direct identifiers keep three digits in front and four behind, everything else its first
    character.

    Parameters
    ----------
    value
        The clear value.
    personal_data
        Its class; of class `none` it is shown as it is, shortened.

    Examples
    --------
    >>> mask("张三丰", "direct_identifier"), mask("13812345678", "direct_identifier")
    ('张*', '138****5678')
    >>> mask("19790213", "quasi_identifier"), mask("32000.00", "none")
    ('1*', '32000.00')
    """
    if value is None:
        return None
    if personal_data == "none":
        return value if len(value) <= 80 else f"{value[:77]}..."
    text = value.strip()
    digits = text.replace(" ", "").replace("-", "")
    if personal_data == "direct_identifier" and len(digits) >= 11 and digits[:-1].lstrip("+").isdigit():
        return f"{digits[:3]}****{digits[-4:]}"
    return f"{text[:1]}*"
