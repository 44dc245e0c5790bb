"""The keys: a master key wraps the token key and one data key per source record or block; how masters are exchanged.

The master key comes from the environment or from a file of mode 0600. The token key is random, made once and never
exchanged: with another one every customer would be two. Data keys lie wrapped in `vault/<bank>/keys/`, in the file of
the delivery that first brought the record; a record known already keeps its key.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from warehouse.errors import UserError
from warehouse.vault.files import locked, move, spill_folder, sweep_spill, write_bytes, write_json
from warehouse.vault.manifests import Manifests
from warehouse.vault.tokens import key_id

KEY_VARIABLE = "MAINBANK_VAULT_KEY"
NEW_KEY_VARIABLE = "MAINBANK_VAULT_KEY_NEW"
KEY_BYTES = 32
NONCE_BYTES = 12
_TAG_BYTES = 16
#: What homes had before clear values were encrypted: the key of tokens, beside clear values.
OLD_KEY_FILE = "key"
MASTER_FILE = "master.key"
NEW_MASTER_FILE = "master.key.new"
TOKEN_FILE = "token.key"  # noqa: S105 - the name of a file
ROTATION_FILE = "rotation.json"
KEYS_FOLDER = "keys"
_SEPARATOR = "\x1f"
#: In the metadata of each file of keys: which master key wraps them.
_MASTER_MARK = b"mainbank.master_key"

#: One wrapped data key. `name` is a record id (64 hex digits) or the name of a block (`<delivery>/<kind>/<number>`).
WRAPPED_KEYS = pa.schema([("name", pa.string()), ("wrapped", pa.binary())])


@dataclass(frozen=True)
class VaultKeys:
    """The two keys of an installation.

    Attributes
    ----------
    master
        Wraps data keys and the token key.
    token
        Makes tokens and record ids.
    """

    master: bytes
    token: bytes

    @property
    def master_id(self) -> str:
        """A name for the master key that does not betray it."""
        return master_id(self.master)

    @property
    def token_id(self) -> str:
        """The name of the token key in the ledger."""
        return key_id(self.token)


def master_id(master: bytes) -> str:
    """A name for a master key that does not betray it."""
    return hmac.new(master, f"master{_SEPARATOR}".encode(), "sha256").hexdigest()[:16]


def keys_path(vault_root: Path, bank: str, delivery_id: str) -> Path:
    """Where the data keys lie that a delivery brought."""
    return vault_root / bank / KEYS_FOLDER / f"{delivery_id}.parquet"


def key_files(vault_root: Path, bank: str | None = None) -> list[Path]:
    """All files of data keys, of one bank or of all."""
    return sorted(vault_root.glob(f"{bank or '*'}/{KEYS_FOLDER}/[0-9a-f]*.parquet"))


def load_keys(vault_root: Path, *, may_create: bool = True) -> VaultKeys:
    """The keys of the installation; made at first use. A rotation that was begun is completed first.

    Parameters
    ----------
    vault_root
        The folder `vault` of the installation; created with mode 0700 if it is missing.
    may_create
        False where something was landed already: then a missing key is lost, and a new one would hide that.

    Raises
    ------
    UserError
        If a key is missing, malformed, not the one the vault was sealed with, or can be read by others.
    """
    if not may_create:
        require_vault(vault_root)
    vault_root.mkdir(parents=True, exist_ok=True)
    vault_root.chmod(0o700)
    if _is_settled(vault_root) and not any(vault_root.glob(".*.tmp")):
        return _open(vault_root, may_create=False)
    with locked(vault_root, exclusively=True):
        return _load(vault_root, may_create=may_create)


@contextmanager
def held_keys(vault_root: Path, *, exclusively: bool = False, may_create: bool = False) -> Iterator[VaultKeys]:
    """The keys of the installation while the vault is held: nobody can exchange them meanwhile.

    Spill that killed processes left is removed first.

    Parameters
    ----------
    vault_root
        The folder `vault` of the installation.
    exclusively
        Whether nobody else may land or read meanwhile.
    may_create
        As for `load_keys`.

    Raises
    ------
    UserError
        As of `load_keys`, or if another process holds the vault in a way that does not go together.
    """
    load_keys(vault_root, may_create=may_create)
    sweep_spill(vault_root)
    with locked(vault_root, exclusively=exclusively):
        if exclusively:
            yield _load(vault_root, may_create=False)
            return
        # Asked again: before the lock was held, another process may have exchanged the master key, or died of it.
        if not _is_settled(vault_root):
            raise UserError(
                "another process was exchanging the vault's master key and did not end",
                where=str(vault_root / ROTATION_FILE),
                next_step="run again: the exchange is completed first",
            )
        yield _open(vault_root, may_create=False)


def require_vault(vault_root: Path) -> None:
    """Refuse a home without a vault, and make none.

    Raises
    ------
    UserError
        If there is no such folder.
    """
    if not vault_root.is_dir():
        raise UserError(
            "there is no vault in this home",
            where=str(vault_root),
            found="no folder",
            valid="a home something was landed in",
            next_step="correct MAINBANK_HOME, or land something first: mainbank run",
        )


def _is_settled(vault_root: Path) -> bool:
    unsettled = any((vault_root / name).exists() for name in (ROTATION_FILE, NEW_MASTER_FILE))
    return not unsettled and (vault_root / TOKEN_FILE).exists()


def _load(vault_root: Path, *, may_create: bool) -> VaultKeys:
    for left in vault_root.glob(".*.tmp"):
        left.unlink()
    if (vault_root / ROTATION_FILE).exists():
        _complete_rotation(vault_root)
    else:
        # Written and never stated: nothing is wrapped by it.
        (vault_root / NEW_MASTER_FILE).unlink(missing_ok=True)
    return _open(vault_root, may_create=may_create)


def _open(vault_root: Path, *, may_create: bool) -> VaultKeys:
    token_file = vault_root / TOKEN_FILE
    is_sealed = token_file.exists() or bool(key_files(vault_root))
    if not is_sealed and (vault_root / OLD_KEY_FILE).exists():
        raise UserError(
            "this vault was written before clear values were encrypted",
            where=str(vault_root / OLD_KEY_FILE),
            found=f"the one key of that layout, and no {TOKEN_FILE}",
            valid=f"a vault with {TOKEN_FILE} and data keys, or none yet",
            next_step="land the same deliveries into a new home (MAINBANK_HOME=/new/folder), then delete this one: "
            "it holds clear values",
        )
    is_new = may_create and not is_sealed
    master = _load_master(vault_root, may_create=is_new)
    if is_new:
        _write_token_key(vault_root, master, secrets.token_bytes(KEY_BYTES))
    return VaultKeys(master, _read_token_key(vault_root, master))


def _load_master(vault_root: Path, *, may_create: bool) -> bytes:
    if KEY_VARIABLE in os.environ:
        key, *others = _candidates(vault_root)
        # While both are set, as they are for a rotation, the one that fits counts.
        return next((other for other in others if master_id(other) == _stated_master(vault_root)), key)
    path = vault_root / MASTER_FILE
    if not path.exists():
        if not may_create:
            raise UserError(
                "the vault's master key is not there",
                where=str(path),
                found=f"no file, and no environment variable {KEY_VARIABLE}",
                valid="the key this vault was sealed with",
                next_step=f"restore the file from where it is backed up (apart from the vault), or set {KEY_VARIABLE}",
            )
        write_bytes(path, f"{secrets.token_hex(KEY_BYTES)}\n".encode())
    return _read_key_file(path)


def _stated_master(vault_root: Path) -> str | None:
    try:
        return str(json.loads((vault_root / TOKEN_FILE).read_text(encoding="utf-8"))["master_key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_key_file(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise UserError(
            "the vault's key can be read by others",
            where=str(path),
            found=f"mode {path.stat().st_mode & 0o777:04o}",
            valid="mode 0600",
            next_step=f"chmod 600 {path}",
        )
    return parse_key(path.read_text(encoding="ascii", errors="replace"), str(path))


def parse_key(text: str, where: str) -> bytes:
    """32 bytes from 64 hexadecimal digits; the text itself is never told.

    Raises
    ------
    UserError
        If it is something else.
    """
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
            next_step="restore the key this installation began with",
        )
    return key


def _write_token_key(vault_root: Path, master: bytes, token: bytes) -> None:
    wrapped = seal(AESGCM(master), token, b"token key")
    write_json(vault_root / TOKEN_FILE, {"master_key": master_id(master), "wrapped": wrapped.hex()})


def _read_token_key(vault_root: Path, master: bytes) -> bytes:
    path = vault_root / TOKEN_FILE
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        named, wrapped = str(stored["master_key"]), bytes.fromhex(stored["wrapped"])
    except FileNotFoundError as error:
        raise UserError(
            "the vault's token key is not there",
            where=str(path),
            found="no file, though deliveries were landed with one",
            next_step="restore it from a backup of the vault: with another one every customer would be two",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "the vault's token key cannot be read",
            where=str(path),
            found=type(error).__name__,
            valid="the JSON the vault wrote",
            next_step="restore it from a backup of the vault",
        ) from error
    if named != master_id(master):
        raise wrong_master(path, master_id(master), named)
    try:
        return unseal(AESGCM(master), wrapped, b"token key")
    except InvalidTag as error:
        raise tampered(str(path)) from error


def wrong_master(where: Path, found: str, valid: str) -> UserError:
    """The error of a master key that is not the one a file was wrapped with."""
    return UserError(
        "the vault's master key is not the one it was sealed with",
        where=f"{where} and {KEY_VARIABLE if KEY_VARIABLE in os.environ else MASTER_FILE}",
        found=f"master key {found}",
        valid=f"master key {valid}",
        next_step=f"restore that key ({KEY_VARIABLE} or vault/{MASTER_FILE}); nothing was changed",
    )


def tampered(where: str) -> UserError:
    """The error of a ciphertext that does not open with its key."""
    return UserError(
        "something sealed in the vault does not open: it was changed or damaged after it was written",
        where=where,
        found="the authentication of AES-GCM failed",
        next_step="restore the file from a backup; who could write to the folder should be looked into",
    )


def seal(cipher: AESGCM, content: bytes, bound_to: bytes) -> bytes:
    """Nonce and ciphertext of a content that opens only where it belongs."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, bound_to)


def unseal(cipher: AESGCM, sealed: bytes, bound_to: bytes) -> bytes:
    """The content of `seal`; raises `InvalidTag`."""
    if len(sealed) < NONCE_BYTES + _TAG_BYTES:
        raise InvalidTag
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)


def _binding(bank: str, name: str) -> bytes:
    return f"data key{_SEPARATOR}{bank}{_SEPARATOR}{name}".encode()


class KeyRing:
    """The data keys of one bank: those there are, and those a delivery brings.

    Parameters
    ----------
    keys
        Keys of the installation.
    vault_root
        The folder `vault`.
    bank
        Short name of the bank.
    memory_limit
        Of the database in which known records are looked up; it spills inside the vault.
    """

    def __init__(self, keys: VaultKeys, vault_root: Path, bank: str, memory_limit: str = "1GB") -> None:
        self._keys = keys
        self._root = vault_root
        self._bank = bank
        self._limit = memory_limit
        self._manifests = Manifests(vault_root, bank, keys.token)
        self._compared: set[Path] = set()
        self._master = AESGCM(keys.master)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._count = 0

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """What a file of wrapped keys says about itself."""
        return {_MASTER_MARK: self._keys.master_id.encode()}

    @property
    def schema(self) -> pa.Schema:
        """Schema of a file of wrapped keys, with its metadata."""
        return WRAPPED_KEYS.with_metadata(self.metadata)

    def close(self) -> None:
        """Let go of the database of known keys."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def record_keys(self, record_ids: pa.Array) -> tuple[dict[str, bytes], pa.Table]:
        """Data keys of records, made for those that have none yet.

        Parameters
        ----------
        record_ids
            Distinct record ids.

        Returns
        -------
        tuple
            Key by record id, and the wrapped keys that are new (`WRAPPED_KEYS`).
        """
        connection = self._open()
        known: dict[str, bytes] = {}
        if self._count:
            connection.register("asked", pa.table({"name": record_ids}))
            for name, wrapped in connection.execute(
                "select name, wrapped from known semi join asked using (name)"
            ).fetchall():
                known[name] = self.unwrap(name, wrapped)
            connection.unregister("asked")
        missing = [name for name in record_ids.to_pylist() if name not in known]
        random = os.urandom(len(missing) * KEY_BYTES)
        fresh = {
            name: random[place : place + KEY_BYTES]
            for name, place in zip(missing, range(0, len(random), KEY_BYTES), strict=True)
        }
        new = self.wrapped(fresh)
        if new.num_rows:
            connection.register("fresh", new)
            connection.execute("insert into known select name, wrapped from fresh")
            connection.unregister("fresh")
            self._count += new.num_rows
        return known | fresh, new

    def wrapped(self, keys: dict[str, bytes]) -> pa.Table:
        """Data keys as they may be stored.

        Raises
        ------
        UserError
            If the master key was exchanged since: nothing may be wrapped by one that is not in force.
        """
        in_force = _stated_master(self._root)
        if in_force != self._keys.master_id:
            raise wrong_master(self._root / TOKEN_FILE, self._keys.master_id, in_force or "none")
        return self._wrap(keys)

    def rewrap(self, file: Path, after: KeyRing) -> None:
        """Replace a file of keys by the same ones, wrapped by the master key of another ring."""
        after._manifests.replace(file, after._wrap(dict(self.opened(file))))

    def opened(self, file: Path) -> Iterator[tuple[str, bytes]]:
        """Names and data keys of a file.

        Raises
        ------
        UserError
            If the file is not whole, or a key does not open.
        """
        check_master(file, self._keys.master_id)
        try:
            table = pq.read_table(file)
            rows = list(zip(table["name"].to_pylist(), table["wrapped"].to_pylist(), strict=True))
        except (pa.ArrowException, OSError, LookupError) as error:
            raise _not_whole(file, error) from error
        for name, wrapped in rows:
            yield name, self.unwrap(name, wrapped)

    def files(self) -> list[Path]:
        """Files of keys that belong to deliveries, each compared with its manifest once.

        Raises
        ------
        UserError
            If one is gone, was changed, or is wrapped by another master key.
        """
        paths = [keys_path(self._root, self._bank, delivery) for delivery in self._manifests.deliveries()]
        files = [path for path in paths if path in self._compared or self._manifests.holds(path)]
        self._compared.update(files)
        for file in files:
            check_master(file, self._keys.master_id)
        return files

    def _wrap(self, keys: dict[str, bytes]) -> pa.Table:
        encrypt, bank = self._master.encrypt, self._bank
        random = os.urandom(len(keys) * NONCE_BYTES)
        rows = []
        for place, (name, key) in enumerate(keys.items()):
            nonce = random[place * NONCE_BYTES : (place + 1) * NONCE_BYTES]
            rows.append(nonce + encrypt(nonce, key, _binding(bank, name)))
        return pa.table([pa.array(list(keys), pa.string()), pa.array(rows, pa.binary())], schema=self.schema)

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """A data key; which one it is must be what it was made for.

        Raises
        ------
        UserError
            If it does not open.
        """
        try:
            return unseal(self._master, wrapped, _binding(self._bank, name))
        except InvalidTag as error:
            raise tampered(f"{self._root / self._bank / KEYS_FOLDER}: data key of {name}") from error

    def find(self, names: Sequence[str]) -> dict[str, bytes]:
        """Data keys by name, those there are; a key that was destroyed is simply not there."""
        files = self.files()
        if not files or not names:
            return {}
        with duckdb.connect(":memory:", config=self._configuration()) as connection, self._told_when_damaged():
            connection.register("asked", pa.table({"name": pa.array(sorted(set(names)), pa.string())}))
            found = connection.execute(
                "select name, wrapped from read_parquet($files) semi join asked using (name)",
                {"files": [str(file) for file in files]},
            ).fetchall()
        return {name: self.unwrap(name, wrapped) for name, wrapped in found}

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = duckdb.connect(":memory:", config=self._configuration())
            self._connection.execute("create table known (name varchar, wrapped blob)")
            files = self.files()
            if files:
                with self._told_when_damaged():
                    self._connection.execute(
                        "insert into known select name, wrapped from read_parquet($files) where length(name) = 64",
                        {"files": [str(file) for file in files]},
                    )
            self._count = int(self._connection.execute("select count(*) from known").fetchall()[0][0])
        return self._connection

    def _configuration(self) -> dict[str, str | bool | int | float | list[str]]:
        return {"memory_limit": self._limit, "threads": 1, "temp_directory": spill_folder(self._root)}

    @contextmanager
    def _told_when_damaged(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise UserError(
                "a file of the vault's keys cannot be read",
                where=str(self._root / self._bank / KEYS_FOLDER),
                found=type(error).__name__,
                valid="the Parquet files the vault wrote",
                next_step="mainbank vault status names the file; restore it from a backup",
            ) from error


def check_master(file: Path, expected: str) -> None:
    """Refuse a file of keys that another master key wraps.

    Raises
    ------
    UserError
        Also if the file is no whole Parquet file.
    """
    named = master_of(file)
    if named != expected:
        raise wrong_master(file, expected, named)


def master_of(file: Path) -> str:
    """Name of the master key that wraps the keys of a file."""
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise _not_whole(file, error) from error
    return str(metadata.get(_MASTER_MARK, b"none").decode())


def _not_whole(file: Path, error: Exception) -> UserError:
    return UserError(
        "a file of the vault's keys is not whole",
        where=str(file),
        found=f"{file.stat().st_size:,} bytes; {type(error).__name__}" if file.exists() else "no file",
        valid="a Parquet file",
        next_step="restore it from a backup: what its keys sealed cannot be read without it",
    )


def begin_rotation(vault_root: Path) -> tuple[str, str]:
    """Exchange the master key: every data key and the token key are wrapped anew, and no token changes.

    Killed at any point, the next `load_keys` completes it.

    Returns
    -------
    tuple of str
        Names of the old and of the new master key.

    Raises
    ------
    UserError
        If the old key comes from the environment and no new one is there, or a key does not open: nothing is changed.
    """
    require_vault(vault_root)
    with locked(vault_root, exclusively=True):
        keys = _load(vault_root, may_create=False)
        if KEY_VARIABLE in os.environ:
            given = os.environ.get(NEW_KEY_VARIABLE)
            if given is None:
                raise UserError(
                    "the new master key is not there",
                    where=f"environment variable {NEW_KEY_VARIABLE}",
                    valid="64 hexadecimal digits, for example of: openssl rand -hex 32",
                    next_step=f"set it beside {KEY_VARIABLE} and run again; afterwards {KEY_VARIABLE} is the new one",
                )
            new, source = parse_key(given, f"environment variable {NEW_KEY_VARIABLE}"), "environment"
        else:
            new, source = secrets.token_bytes(KEY_BYTES), "file"
        if master_id(new) == keys.master_id:
            raise UserError("the new master key is the old one", where=NEW_KEY_VARIABLE, next_step="make another one")
        # All is opened before anything is written: once stated, a rotation must be completed by whatever comes next.
        _check_keys(vault_root, keys)
        stated = {"old": keys.master_id, "new": master_id(new), "source": source}
        if source == "file":
            write_bytes(vault_root / NEW_MASTER_FILE, f"{new.hex()}\n".encode())
        write_json(vault_root / ROTATION_FILE, stated)
        _complete_rotation(vault_root)
        return stated["old"], stated["new"]


def _complete_rotation(vault_root: Path) -> None:
    """Wrap by the new master key what the old one still wraps; end with the key itself."""
    path = vault_root / ROTATION_FILE
    try:
        stated: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        old_id, new_id = stated["old"], stated["new"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "the statement of a key rotation cannot be read",
            where=str(path),
            found=type(error).__name__,
            next_step="restore it from a backup",
        ) from error
    available = {master_id(key): key for key in _candidates(vault_root)}
    pending = [file for file in key_files(vault_root) if master_of(file) != new_id]
    token_master = _stated_master(vault_root)
    is_done = not pending and token_master == new_id
    if new_id not in available or (not is_done and old_id not in available):
        raise UserError(
            "a rotation of the vault's master key was interrupted, and both keys are needed to complete it",
            where=str(path),
            found=f"master keys at hand: {', '.join(sorted(available)) or 'none'}; {len(pending)} files to go",
            valid=f"{old_id} (old) and {new_id} (new)",
            next_step=f"set {KEY_VARIABLE} to the old and {NEW_KEY_VARIABLE} to the new key, and run again"
            if stated.get("source") == "environment"
            else f"restore vault/{MASTER_FILE} and vault/{NEW_MASTER_FILE}, and run again",
        )
    new = available[new_id]
    token = _read_token_key(vault_root, available.get(token_master or new_id, new))
    for file in pending:
        bank = file.parent.parent.name
        before, after = (KeyRing(VaultKeys(key, token), vault_root, bank) for key in (available[old_id], new))
        before.rewrap(file, after)
    if token_master != new_id:
        _write_token_key(vault_root, new, token)
    for bank in _banks(vault_root):
        Manifests(vault_root, bank, token).settle()
    if (vault_root / NEW_MASTER_FILE).exists():
        move(vault_root / NEW_MASTER_FILE, vault_root / MASTER_FILE)
    path.unlink()


def _candidates(vault_root: Path) -> list[bytes]:
    found = [
        parse_key(os.environ[name], f"environment variable {name}")
        for name in (KEY_VARIABLE, NEW_KEY_VARIABLE)
        if name in os.environ
    ]
    return found + [
        _read_key_file(vault_root / name)
        for name in (MASTER_FILE, NEW_MASTER_FILE)
        if KEY_VARIABLE not in os.environ and (vault_root / name).exists()
    ]


def _banks(vault_root: Path) -> list[str]:
    return sorted(path.name for path in vault_root.glob("*") if (path / KEYS_FOLDER).is_dir())


def _check_keys(vault_root: Path, keys: VaultKeys) -> None:
    """Open every data key of the installation, those of deliveries and those an interrupted landing left."""
    for bank in _banks(vault_root):
        ring = KeyRing(keys, vault_root, bank)
        for file in sorted({*ring.files(), *key_files(vault_root, bank)}):
            for _ in ring.opened(file):
                pass
