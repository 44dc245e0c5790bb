"""A bank's own files, names and codes: how they are declared, read and mapped to the contract."""
