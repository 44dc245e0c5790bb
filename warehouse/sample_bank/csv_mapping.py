"""The mapping of a sample bank in CSV files: the shipped one, with another format."""

from __future__ import annotations

from pathlib import Path

from warehouse.errors import UserError
from warehouse.sources.mapping import find_mapping_file

_PARQUET, _CSV = "format: {type: parquet}", "format: {type: csv, encoding: utf-8}"
_SHARE, _ANY_SHARE = "maximum_share: 0.01", "maximum_share: 1"


def write_csv_mapping(folder: Path, *, is_unreadable: bool) -> None:
    """Write `mapping.yml` and `bank.yml` for a bank's CSV files.

    Parameters
    ----------
    folder
        Where to write them.
    is_unreadable
        Whether rows are unreadable on purpose. Any share of them is then allowed: in a day's file of three rows one
        faulty row is a third.
    """
    shipped = find_mapping_file("sample")
    mapping = shipped.read_text(encoding="utf-8")
    settings = (shipped.parent / "bank.yml").read_text(encoding="utf-8")
    for text, wanted in ((mapping, _PARQUET), (settings, _SHARE)):
        if wanted not in text:
            raise UserError("the shipped mapping is not as expected", where=str(shipped), valid=f"`{wanted}` in it")
    folder.mkdir(parents=True, exist_ok=True)
    mapping = mapping.replace(".parquet", ".csv").replace(_PARQUET, _CSV)
    (folder / "mapping.yml").write_text(mapping, encoding="utf-8")
    if is_unreadable:
        settings = settings.replace(_SHARE, _ANY_SHARE)
    (folder / "bank.yml").write_text(settings, encoding="utf-8")
