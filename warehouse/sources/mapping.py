"""A bank's mapping file, read into the values of `specification`: what is landed and how it becomes the contract."""

from __future__ import annotations

from warehouse.sources.specification import (
    IDENTIFYING_CLASSES,
    PERSONAL_DATA_CLASSES,
    CodeTranslation,
    CsvFormat,
    DerivedColumn,
    LookupSpec,
    Mapping,
    ParquetFormat,
    SelectSpec,
    SourceColumn,
    SourceSpec,
    TableSpec,
    quote_name,
    quote_text,
    typed_expression,
)

__all__ = [
    "IDENTIFYING_CLASSES",
    "PERSONAL_DATA_CLASSES",
    "CodeTranslation",
    "CsvFormat",
    "DerivedColumn",
    "LookupSpec",
    "Mapping",
    "ParquetFormat",
    "SelectSpec",
    "SourceColumn",
    "SourceSpec",
    "TableSpec",
    "quote_name",
    "quote_text",
    "typed_expression",
]
