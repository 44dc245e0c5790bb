"""The sample bank as files: `generate` writes the tables of the contract and, apart, the truth they were made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from warehouse.errors import UserError
from warehouse.sample_bank.account_holders import account_holders_table
from warehouse.sample_bank.accounts import accounts_table, opening_versions
from warehouse.sample_bank.balances import balances_table
from warehouse.sample_bank.branches import branches_table
from warehouse.sample_bank.complaints import complaints_table
from warehouse.sample_bank.customers import customers_table
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.files import FORMATS, MANIFEST, TableFiles, replaced_folders
from warehouse.sample_bank.further_tables import FurtherTables
from warehouse.sample_bank.ledger import RecordingLedger
from warehouse.sample_bank.market_rates import HISTORY_MONTHS
from warehouse.sample_bank.parameters import CURRENT, DEFAULT_PARAMETERS, Parameters
from warehouse.sample_bank.products import products_table
from warehouse.sample_bank.simulation import BankSettings, Simulation
from warehouse.sample_bank.state import State
from warehouse.sample_bank.transactions import transactions_table
from warehouse.sample_bank.truth import TruthFiles

VERSION = 2
"""Goes up when other bytes come out of the same arguments."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class GeneratedBank:
    """What was written: rows by table, and the first and last day of the window."""

    folder: Path
    rows: Mapping[str, int]
    first_day: date
    last_day: date


def generate(
    out_dir: str | Path,
    *,
    customers: int = 20_000,
    months: int = 24,
    start: date = date(2024, 1, 1),
    seed: int = 1,
    formats: tuple[str, ...] = ("parquet",),
    slice: tuple[int, int] | None = None,
    truth_dir: str | Path | None = None,
    parameters: Parameters = DEFAULT_PARAMETERS,
    progress: Progress | None = None,
) -> GeneratedBank:
    """Write a synthetic bank: the same arguments give the same bytes.

    Tables are those of the contract, as `out_dir/<table>/*.parquet`: one file per month for transactions,
    complaints, contacts and what falls due on loans, one file for every other table. Rows with an `updated_at` are
    versions, each in force from then.

    Parameters
    ----------
    out_dir
        Folder to write; a sample bank that is there already is replaced, anything else is refused.
    customers
        Customers who have joined by the end of the window. The first thousand of a larger bank are the customers of a
        bank of one thousand, and live the same lives.
    months
        Length of the window, 1 to 120. A longer window continues a shorter one: the lives of customers of both agree.
    start
        First day of the window, the first of a month.
    seed
        0 to 2**63 - 1: another seed is another bank.
    formats
        `parquet`, `csv` or both.
    slice
        Only the customers from position `first` up to but not including `last`; slices together are the whole.
    truth_dir
        Folder for the truth, which only tests and benchmarks may read. Absent: no truth is written.
    parameters
        What the bank is made of.
    progress
        Called with the months done and the months to do.

    Returns
    -------
    GeneratedBank
        Rows by table and the days covered.

    Raises
    ------
    UserError
        A size, date, slice or format that is not valid; a folder that cannot be written; a full disk. Nothing is
        left behind then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bank = generate(Path(folder) / "bank", customers=50, months=2)
    ...     sorted(bank.rows)[:4], bank.rows["customers"] >= 50, bank.last_day
    (['account_holders', 'accounts', 'balances', 'branches'], True, datetime.date(2024, 2, 29))
    """
    settings = BankSettings(customers, months, start, seed, slice, parameters)
    settings.check()
    _check_formats(formats)
    target = Path(out_dir)
    targets = [target] if truth_dir is None else [target, Path(truth_dir)]
    if truth_dir is not None and _overlap(target.resolve(), Path(truth_dir).resolve()):
        raise UserError(
            "the truth may not lie inside the bank's folder, nor the bank inside the truth's",
            where="truth_dir",
            found=str(truth_dir),
            valid="a folder of its own",
        )
    with replaced_folders(*targets) as folders:
        simulation = Simulation(settings)
        files = TableFiles(folders[0], formats)
        truth = TruthFiles(folders[1], simulation) if truth_dir is not None else None
        try:
            _write_bank(simulation, files, truth, progress)
        finally:
            files.close()
            if truth is not None:
                truth.close()
        last = settings.all_months[-1]
        _write_manifest(folders, settings, files.rows)
    return GeneratedBank(target, files.rows, start, date.fromordinal(date(1970, 1, 1).toordinal() + last.last_day))


def ensure_generated(folder: Path, customers: int, progress: Progress | None = None) -> Path:
    """Return the folder of the default bank of that size, written the first time it is asked for.

    Parameters
    ----------
    folder
        Where such banks are kept.
    customers, progress
        As in `generate`.
    """
    data = folder / f"sample-{customers}-v{VERSION}"
    if not (data / MANIFEST).is_file():
        generate(data, customers=customers, progress=progress)
    return data


def _overlap(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def _check_formats(formats: tuple[str, ...]) -> None:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats or len(set(formats)) < len(formats):
        raise UserError(
            "the sample bank cannot be written in this format",
            where="formats",
            found=repr(formats),
            valid=", ".join(FORMATS),
        )


def _write_manifest(folders: list[Path], settings: BankSettings, rows: Mapping[str, int]) -> None:
    """Say in each folder what it was made from: nothing of the clock or the machine."""
    text = json.dumps(
        {
            "customers": settings.customers,
            "months": settings.months,
            "start": settings.start.isoformat(),
            "seed": settings.seed,
            "slice": settings.part,
            "rows": dict(sorted(rows.items())),
        },
        indent=2,
    )
    for folder in folders:
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _write_bank(simulation: Simulation, files: TableFiles, truth: TruthFiles | None, progress: Progress | None) -> None:
    settings = simulation.settings
    months = settings.all_months
    first = settings.first_month
    files.write("branches", "branches", branches_table())
    files.write("products", "products", products_table())
    files.write(
        "market_rates",
        "market_rates",
        simulation.market.table(list(range(first.number - HISTORY_MONTHS, months[-1].number + 1))),
    )
    further = FurtherTables(simulation, files, None if truth is None else truth.files)
    further.write_fixed()
    for block in simulation.blocks:
        _write_opening(block, simulation, files, first)
        further.write_opening(block)
        if truth is not None:
            truth.write_opening(block)
    files.finish("balances", "balances")
    for done, month in enumerate(months, start=1):
        for position, (block, ledger, record) in enumerate(simulation.live(month)):
            _write_month(block, ledger, month, simulation, files)
            further.write_month(position, block, ledger, record, month)
            if truth is not None:
                truth.write_month(block, month, record)
        files.finish("transactions", month.name)
        files.finish("complaints", month.name)
        further.finish_month(month)
        if progress is not None:
            progress(done, len(months))
    if truth is not None:
        truth.write_end()


def _write_opening(block: State, simulation: Simulation, files: TableFiles, first: Month) -> None:
    settings, people = simulation.settings, block.people
    old = np.flatnonzero(people.joined_month == 0)
    alive = np.zeros(len(old), np.bool_)
    registered = people.joined_day[old] * 86_400 + 8 * 3600
    files.write("customers", "customers", customers_table(people, settings.seed, old, alive, registered))
    files.write("accounts", "accounts", accounts_table(people, settings.seed, opening_versions(block)))
    files.write(
        "account_holders",
        "account_holders",
        account_holders_table(
            people, settings.seed, first.number, settings.parameters, rows=old, opened=block.opened_day[CURRENT, old]
        ),
    )
    files.write("balances", "balances", balances_table(block, first.first_day - 1))


def _write_month(
    block: State, ledger: RecordingLedger, month: Month, simulation: Simulation, files: TableFiles
) -> None:
    settings, people = simulation.settings, block.people
    seed = settings.seed
    files.write("transactions", month.name, transactions_table(people, seed, month, ledger))
    accounts = ledger.accounts.collected()
    if accounts:
        files.write("accounts", "accounts", accounts_table(people, seed, accounts))
    customers = ledger.customers.collected()
    if customers:
        order = np.lexsort((customers["row"], customers["updated"]))
        row, is_deceased, updated = (customers[name][order] for name in ("row", "is_deceased", "updated"))
        files.write("customers", "customers", customers_table(people, seed, row, is_deceased, updated))
    joined = np.flatnonzero(people.joined_month == month.number)
    if len(joined):
        files.write(
            "account_holders",
            "account_holders",
            account_holders_table(
                people,
                seed,
                settings.first_month.number,
                settings.parameters,
                rows=joined,
                opened=people.joined_day[joined],
            ),
        )
    files.write("complaints", month.name, complaints_table(people, seed, ledger.complaints.collected()))
