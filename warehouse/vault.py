"""The vault's boundary: clear identifiers go in at landing, keyed tokens come out.

Here are the key, the tokens, the masks and the store of clear values. Nothing outside the folders `vault` and
`quarantine` may hold a clear value of an identifying column; who may read them is decided here and nowhere else.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.errors import UserError

KEY_VARIABLE = "MAINBANK_VAULT_KEY"
KEY_BYTES = 32
_BLOCK_BYTES = 64  # block size of SHA-256, as in RFC 2104
_SEPARATOR = "\x1f"
#: What is cut off around a value: blank, tab, line ends, no-break and ideographic space. Named one by one, since what
#: a database calls blank changes with its version, and with it every token would.
BLANKS = " \t\r\n\u00a0\u3000"

#: What the vault keeps of one identifying value.
CLEAR_VALUES = pa.schema(
    [
        ("record_id", pa.string()),
        ("source_row", pa.int64()),
        ("source", pa.string()),
        ("column", pa.string()),
        ("token", pa.string()),
        ("value", pa.string()),
    ]
)


def load_key(vault_root: Path) -> bytes:
    """The installation's key: from the environment if it is there, else from `vault/key`, made at first use.

    Parameters
    ----------
    vault_root
        The folder `vault` of the installation; created with mode 0700 if it is missing.

    Returns
    -------
    bytes
        32 bytes.

    Raises
    ------
    UserError
        If the key is not 64 hex digits, or others than its owner may read it.
    """
    given = os.environ.get(KEY_VARIABLE)
    if given is not None:
        return _parse_key(given, f"environment variable {KEY_VARIABLE}")
    vault_root.mkdir(parents=True, exist_ok=True)
    vault_root.chmod(0o700)
    path = vault_root / "key"
    if not path.exists():
        _create_key(path)
    if path.stat().st_mode & 0o077:
        raise UserError(
            "the vault's key can be read by others",
            where=str(path),
            found=f"mode {path.stat().st_mode & 0o777:04o}",
            valid="mode 0600",
            next_step=f"chmod 600 {path}",
        )
    return _parse_key(path.read_text(encoding="ascii", errors="replace"), str(path))


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


def token_expression(sql: str) -> str:
    """SQL for the keyed token of a value: HMAC-SHA-256, 64 hex digits.

    Values that differ only by blanks around them have the same token. NULL and blank text have none.

    Parameters
    ----------
    sql
        Expression of the clear value, of any type.

    Returns
    -------
    str
        Expression of type VARCHAR, for a connection that `use_key` was called on.
    """
    return _keyed_hash("value", normalised_expression(sql))


def record_id_expression(source_system: str, id_sql: str) -> str:
    """SQL for the pseudonym of a source record: HMAC-SHA-256 of source system and source id, 64 hex digits.

    Parameters
    ----------
    source_system
        The system whose id it is.
    id_sql
        Expression of the id within that system; NULL gives NULL.
    """
    system = source_system.replace("'", "''")
    return _keyed_hash(f"record{_SEPARATOR}{system}", normalised_expression(id_sql))


def _keyed_hash(domain: str, text_sql: str) -> str:
    # The domain keeps a record id from being equal to the token of a value with the same text.
    # DuckDB's `||` of blobs and `encode` (text to its UTF-8 bytes) make this byte for byte Python's hmac.
    message = f"encode('{domain}{_SEPARATOR}' || {text_sql})"
    return f"sha256(getvariable('vault_outer') || unhex(sha256(getvariable('vault_inner') || {message})))"


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


def _parse_key(text: str, where: str) -> bytes:
    digits = text.strip()
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UserError(
            "the vault's key is not valid",
            where=where,
            found=f"{len(digits)} characters",
            valid="64 hexadecimal digits",
            next_step="restore the key this installation began with: tokens of another key match nothing",
        )
    return key


def _create_key(path: Path) -> None:
    temporary = path.with_name(f".key.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(secrets.token_hex(KEY_BYTES) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


def clear_values_path(vault_root: Path, bank: str, delivery_id: str) -> Path:
    """Where the clear values of a delivery lie, if it has any."""
    return vault_root / bank / f"{delivery_id}.parquet"
