"""A bank: a folder with `mapping.yml` and `bank.yml`."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from warehouse.errors import UserError
from warehouse.sources.mapping import SHIPPED_BANKS, find_mapping_file, load_mapping, shipped_banks
from warehouse.sources.specification import Mapping
from warehouse.yaml_file import Node, read_yaml

AS_OF_RULES = ("last_complete_delivery",)
ENVIRONMENTS = ("demonstration", "production")
_MEMORY = re.compile(r"[1-9][0-9]*(MB|GB|TB|MiB|GiB|TiB)")

__all__ = [
    "SHIPPED_BANKS",
    "AsOfSettings",
    "Bank",
    "BankName",
    "BankSettings",
    "DeletesSettings",
    "QuarantineSettings",
    "ReleaseSettings",
    "ResourceSettings",
    "load_bank",
    "shipped_banks",
]


@dataclass(frozen=True)
class BankName:
    """Name of the bank in English and Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class AsOfSettings:
    """How the as-of date is found when none is asked for, and from which source system's deliveries."""

    rule: str
    source_system: str


@dataclass(frozen=True)
class QuarantineSettings:
    """Largest share of a delivery's records, 0 to 1, that may go to quarantine before it is refused whole."""

    maximum_share: Decimal


@dataclass(frozen=True)
class DeletesSettings:
    """Largest share of a source's keys, 0 to 1, that may be gone at once before their deletion is refused.

    It is for sources whose deletions are found by comparing keys: an empty or cut-off source looks like a deletion.
    """

    maximum_share: Decimal = Decimal("0.5")


@dataclass(frozen=True)
class ReleaseSettings:
    """How many releases are kept."""

    kept: int


@dataclass(frozen=True)
class ResourceSettings:
    """Memory limit (DuckDB's notation) and threads of the process."""

    memory_limit: str
    threads: int


@dataclass(frozen=True)
class BankSettings:
    """What `bank.yml` says. Nothing but `deletes` has a default: what is in force is what stands there."""

    name: BankName
    environment: str
    base_currency: str
    time_zone: str
    as_of: AsOfSettings
    quarantine: QuarantineSettings
    release: ReleaseSettings
    resources: ResourceSettings
    deletes: DeletesSettings = DeletesSettings()


@dataclass(frozen=True)
class Bank:
    """Mapping and settings of a bank."""

    folder: Path
    mapping: Mapping
    settings: BankSettings

    @property
    def name(self) -> str:
        """Short name of the bank, as in the mapping: the name of its folders."""
        return self.mapping.bank


def load_bank(source: str | Path) -> Bank:
    """Bank from a shipped name, a folder, or the path of a mapping file with `bank.yml` beside it.

    Parameters
    ----------
    source
        For example `berka`, `/etc/bank` or `/etc/bank/mapping.yml`.

    Raises
    ------
    UserError
        Something is absent or does not fit; the message names file, line and key.
    """
    folder = find_mapping_file(source).parent
    mapping = load_mapping(source)
    return Bank(folder, mapping, read_settings(folder / "bank.yml", mapping))


def read_settings(file: Path, mapping: Mapping) -> BankSettings:
    """Settings of `bank.yml`, every key checked, against the mapping where they name a source system."""
    if not file.is_file():
        raise UserError(
            "a bank needs its settings beside the mapping",
            where=str(file),
            found="no such file",
            valid="a file with name, environment, base_currency, time_zone, as_of, quarantine, release, resources",
            next_step=f"copy {SHIPPED_BANKS / 'berka' / 'bank.yml'} and change it",
        )
    fields = read_yaml(file).fields(
        ["name", "environment", "base_currency", "time_zone", "as_of", "quarantine", "release", "resources"],
        ["deletes"],
    )
    name = fields["name"].fields(["en", "zh"])
    as_of = fields["as_of"].fields(["rule", "source_system"])
    quarantine = fields["quarantine"].fields(["maximum_share"])
    deletes = fields["deletes"].fields(["maximum_share"]) if "deletes" in fields else None
    release = fields["release"].fields(["kept"])
    resources = fields["resources"].fields(["memory_limit", "threads"])
    systems = sorted({source.source_system for source in mapping.sources.values()})
    return BankSettings(
        name=BankName(name["en"].as_text(), name["zh"].as_text()),
        environment=fields["environment"].as_one_of(ENVIRONMENTS),
        base_currency=_currency(fields["base_currency"]),
        time_zone=_time_zone(fields["time_zone"]),
        as_of=AsOfSettings(as_of["rule"].as_one_of(AS_OF_RULES), as_of["source_system"].as_one_of(systems)),
        quarantine=QuarantineSettings(_share(quarantine["maximum_share"])),
        release=ReleaseSettings(release["kept"].as_integer(minimum=1)),
        resources=ResourceSettings(_memory(resources["memory_limit"]), resources["threads"].as_integer(minimum=1)),
        deletes=DeletesSettings() if deletes is None else DeletesSettings(_share(deletes["maximum_share"])),
    )


def _currency(node: Node) -> str:
    if not re.fullmatch(r"[A-Z]{3}", node.as_text()):
        raise node.error("a currency is its ISO 4217 code", valid="three capital letters, for example CNY")
    return node.as_text()


def _time_zone(node: Node) -> str:
    try:
        zoneinfo.ZoneInfo(node.as_text())
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise node.error("no such time zone", valid="an IANA name, for example Asia/Shanghai") from error
    return node.as_text()


def _share(node: Node) -> Decimal:
    try:
        share = Decimal(node.as_text())
    except InvalidOperation:
        share = Decimal(-1)
    if not 0 <= share <= 1:
        raise node.error("a share is a number from 0 to 1", valid="for example 0.01")
    return share


def _memory(node: Node) -> str:
    if not _MEMORY.fullmatch(node.as_text()):
        raise node.error("a memory limit is a number and a unit", valid="for example 4GB or 800MB")
    return node.as_text()
