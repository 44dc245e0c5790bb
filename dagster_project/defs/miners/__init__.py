"""The miners as assets, one file each."""
