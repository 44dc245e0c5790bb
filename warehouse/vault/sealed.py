"""Sealed values: what of a delivery is identifying, encrypted with AES-256-GCM, and how it is opened again.

A row of a known customer is sealed by itself, under the data key of its source record: destroying that key erases it.
Values of rows that name no customer (the counterparties of transactions) and quarantined rows are sealed in blocks,
one for each batch, each under a key of its own. Every ciphertext is bound to its bank, delivery, record and row.
"""

from __future__ import annotations

from collections.abc import Iterator
from os import urandom
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from warehouse.errors import UserError
from warehouse.vault.keys import NONCE_BYTES, KeyRing, tampered, unseal

#: A sealed row of a record (`record_id`, `source_row`), or a sealed block (`block`).
SEALED = pa.schema(
    [("record_id", pa.string()), ("block", pa.string()), ("source_row", pa.int64()), ("sealed", pa.binary())]
)
#: What is sealed of a record's row: a JSON object of its identifying columns.
RECORD_VALUES = pa.schema([("record_id", pa.string()), ("source_row", pa.int64()), ("payload", pa.string())])
#: What is sealed in a block of values: distinct ones, with the row only where the landed row has no token of it.
BLOCK_VALUES = pa.schema([("column", pa.string()), ("source_row", pa.int64()), ("value", pa.string())])
_SEPARATOR = "\x1f"
KEY_BYTES = 32


def sealed_path(vault_root: Path, bank: str, delivery_id: str) -> Path:
    """Where the sealed values of a delivery lie, if it has any."""
    return vault_root / bank / f"{delivery_id}.parquet"


def _record_binding(bank: str, delivery_id: str, record_id: str, source_row: int) -> bytes:
    return _SEPARATOR.join(["record", bank, delivery_id, record_id, str(source_row)]).encode()


def _block_binding(bank: str, block: str) -> bytes:
    return _SEPARATOR.join(["block", bank, block]).encode()


class Sealer:
    """Seals the values of one delivery.

    Parameters
    ----------
    ring
        Data keys of the bank.
    bank, delivery_id
        What the ciphertexts are bound to.
    """

    def __init__(self, ring: KeyRing, bank: str, delivery_id: str) -> None:
        self._ring = ring
        self._bank = bank
        self._delivery_id = delivery_id
        self._blocks: dict[str, int] = {}

    def records(self, values: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Seal rows of records.

        Parameters
        ----------
        values
            `RECORD_VALUES`, no payload NULL.

        Returns
        -------
        tuple of pyarrow.Table
            `SEALED`, and the wrapped keys that are new.
        """
        keys, fresh = self._ring.record_keys(values["record_id"].combine_chunks().unique())
        record_ids, rows = values["record_id"].to_pylist(), values["source_row"].to_pylist()
        # One binding per row, made without a call: this loop runs once for every customer.
        head, last, cipher = f"record{_SEPARATOR}{self._bank}{_SEPARATOR}{self._delivery_id}{_SEPARATOR}", None, None
        random = urandom(NONCE_BYTES * len(rows))
        sealed = []
        for place, (record, row, text) in enumerate(zip(record_ids, rows, values["payload"].to_pylist(), strict=True)):
            if record != last or cipher is None:
                last, cipher = record, AESGCM(keys[record])
            nonce = random[place * NONCE_BYTES : (place + 1) * NONCE_BYTES]
            bound = f"{head}{record}{_SEPARATOR}{row}".encode()
            sealed.append(nonce + cipher.encrypt(nonce, text.encode(), bound))
        count = len(sealed)
        table = pa.table(
            [values["record_id"], pa.nulls(count, pa.string()), values["source_row"], pa.array(sealed, pa.binary())],
            schema=SEALED,
        )
        return table, fresh

    def block(self, kind: str, content: pa.Table) -> tuple[str, bytes, pa.Table]:
        """Seal a table as one block under a key of its own: its name, the ciphertext, the wrapped key."""
        number = self._blocks.get(kind, 0) + 1
        self._blocks[kind] = number
        return seal_block(self._ring, self._bank, f"{self._delivery_id}/{kind}/{number:06d}", content)


def seal_block(ring: KeyRing, bank: str, name: str, content: pa.Table) -> tuple[str, bytes, pa.Table]:
    """Seal a table as a block of a given name: the name, the ciphertext, the wrapped key."""
    key = AESGCM.generate_key(KEY_BYTES * 8)
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, content.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(content)
    nonce = urandom(NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, buffer.getvalue().to_pybytes(), _block_binding(bank, name))
    return name, sealed, ring.wrapped({name: key})


def block_row(name: str, sealed: bytes) -> pa.Table:
    """A sealed block as a row of `SEALED`."""
    return pa.Table.from_pylist(
        [{"record_id": None, "block": name, "source_row": None, "sealed": sealed}], schema=SEALED
    )


def open_record(  # noqa: PLR0917 - each part of what it is bound to
    key: bytes, bank: str, delivery_id: str, record_id: str, source_row: int, sealed: bytes
) -> bytes:
    """The JSON object of a record's row.

    Raises
    ------
    UserError
        If the ciphertext was changed, or belongs elsewhere.
    """
    try:
        return unseal(AESGCM(key), sealed, _record_binding(bank, delivery_id, record_id, source_row))
    except InvalidTag as error:
        raise tampered(f"vault/{bank}/{delivery_id}.parquet, row {source_row} of record {record_id[:16]}") from error


def open_block(key: bytes, bank: str, name: str, sealed: bytes) -> pa.Table:
    """The table that was sealed as a block.

    Raises
    ------
    UserError
        If the ciphertext was changed, or belongs elsewhere.
    """
    try:
        content = unseal(AESGCM(key), sealed, _block_binding(bank, name))
    except InvalidTag as error:
        raise tampered(f"block {name} of bank {bank}") from error
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


def read_sealed(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A file of sealed values, as it lies.

    Raises
    ------
    UserError
        If it is not whole.
    """
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            "a sealed file of the vault is not whole",
            where=str(path),
            found=f"{path.stat().st_size:,} bytes; {type(error).__name__}" if path.exists() else "no file",
            valid="the Parquet file the vault wrote",
            next_step="restore it from a backup",
        ) from error


def blocks_of(table: pa.Table) -> Iterator[tuple[str, bytes]]:
    """Names and ciphertexts of the blocks in a table of `SEALED` (or any with columns `block` and `sealed`)."""
    rows = table.filter(table["block"].is_valid())
    yield from zip(rows["block"].to_pylist(), rows["sealed"].to_pylist(), strict=True)
