"""The vault's boundary: clear identifiers go in at landing, keyed tokens come out.

Nothing outside the folders `vault` and `quarantine` may hold a clear value of an identifying column, and inside them
it is encrypted. Tokens and masks, keys, sealed values, and reading each have a module here; what erasure does to all
rooms is in `warehouse.erasure`.
"""

from warehouse.vault.keys import (
    KEY_VARIABLE,
    NEW_KEY_VARIABLE,
    KeyRing,
    VaultKeys,
    begin_rotation,
    held_keys,
    keys_path,
    load_keys,
)
from warehouse.vault.reading import ClearValue, check_files, read_clear, read_sealed_values, status
from warehouse.vault.sealed import Sealer, sealed_path
from warehouse.vault.tokens import (
    BLANKS,
    key_id,
    mask,
    normalised_expression,
    record_id_expression,
    token_expression,
    use_key,
)

__all__ = [
    "BLANKS",
    "KEY_VARIABLE",
    "NEW_KEY_VARIABLE",
    "ClearValue",
    "KeyRing",
    "Sealer",
    "VaultKeys",
    "begin_rotation",
    "check_files",
    "held_keys",
    "key_id",
    "keys_path",
    "load_keys",
    "mask",
    "normalised_expression",
    "read_clear",
    "read_sealed_values",
    "record_id_expression",
    "sealed_path",
    "status",
    "token_expression",
    "use_key",
]
