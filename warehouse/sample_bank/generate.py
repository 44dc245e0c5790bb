"""The sample bank as files: `generate` writes the tables of the contract and, apart, the truth they were made from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from warehouse.errors import UserError
from warehouse.sample_bank.account_holders import account_holders_table
from warehouse.sample_bank.accounts import accounts_table, opening_versions
from warehouse.sample_bank.balances import balances_table
from warehouse.sample_bank.branches import branches_table
from warehouse.sample_bank.complaints import complaints_table
from warehouse.sample_bank.csv_mapping import write_csv_mapping
from warehouse.sample_bank.customers import customers_table
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.deliveries import (
    FAULTS_FOLDER,
    DailyFiles,
    FaultFiles,
    KnownBank,
    SoiledFiles,
    dirt_in_manifest,
    first_month_needed,
    move_days,
    next_days,
    read_bank,
)
from warehouse.sample_bank.dirt import CLEAN_ROWS, Dirt
from warehouse.sample_bank.files import (
    FORMATS,
    MANIFEST,
    TableFiles,
    replaced_folders,
    staged_folder,
    write_manifest,
)
from warehouse.sample_bank.further_tables import FOLLOWED_PRODUCTS, FurtherTables
from warehouse.sample_bank.ledger import RecordingLedger
from warehouse.sample_bank.market_rates import HISTORY_MONTHS
from warehouse.sample_bank.parameters import CURRENT, DEFAULT_PARAMETERS, Parameters
from warehouse.sample_bank.products import products_table
from warehouse.sample_bank.simulation import BankSettings, Simulation
from warehouse.sample_bank.state import State
from warehouse.sample_bank.transactions import transactions_table
from warehouse.sample_bank.truth import TruthFiles

VERSION = 4
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
    dirt: Dirt = CLEAN_ROWS,
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
        `parquet`, `csv` or both. With CSV comes the mapping that reads it, in the folder `mapping`.
    slice
        Only the customers from position `first` up to but not including `last`; slices together are the whole.
    truth_dir
        Folder for the truth, which only tests and benchmarks may read. Absent: no truth is written.
    parameters
        What the bank is made of.
    dirt
        What is wrong with its rows; nothing by default. Needs a folder for the truth, which records it.
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
    dirt.check(formats)
    target = Path(out_dir)
    _check_truth_dir(target, truth_dir, dirt)
    targets = [target] if truth_dir is None else [target, Path(truth_dir)]
    last = _as_date(settings.all_months[-1].last_day)
    with replaced_folders(*targets) as folders:
        simulation = Simulation(settings)
        with ExitStack() as stack:
            files: TableFiles | SoiledFiles = TableFiles(folders[0], formats)
            if dirt != CLEAN_ROWS:
                faults = FaultFiles(folders[1])
                stack.callback(faults.close)
                files = SoiledFiles(folders[0], formats, faults, dirt=dirt, seed=seed, initial_end=last)
            stack.callback(files.close)
            truth = TruthFiles(folders[1], simulation) if truth_dir is not None else None
            if truth is not None:
                stack.callback(truth.close)
            _write_bank(simulation, files, truth, progress)
        if "csv" in formats:
            write_csv_mapping(folders[0] / "mapping", is_unreadable=dirt.is_unreadable)
        manifest = _manifest(settings, files.rows) | dirt_in_manifest(dirt)
        for folder in folders:
            write_manifest(folder, _as_json(manifest))
    return GeneratedBank(target, files.rows, start, last)


def deliver(
    out_dir: str | Path,
    days: int,
    *,
    truth_dir: str | Path | None = None,
    parameters: Parameters = DEFAULT_PARAMETERS,
    progress: Progress | None = None,
) -> GeneratedBank:
    """Let a sample bank go on: write its next days as deliveries, `out_dir/YYYY/MM/DD/<table>/*`.

    Each holds the rows that are known on its day, and in `deletes` below it the keys of rows that are deleted.
    Day by day or many at once gives the same files, and the bank with its deliveries the rows of one long bank.

    Parameters
    ----------
    out_dir
        Folder that `generate` has written, and earlier calls of this have added to.
    days
        How many more.
    truth_dir
        Folder for the truth up to the end of the last day's month; one that is there is replaced. Needed where the
        bank has dirt.
    parameters
        What the bank was generated with.
    progress
        Called with the months done and the months to do.

    Returns
    -------
    GeneratedBank
        Rows that were delivered, by table, and the first and last of the days.

    Raises
    ------
    UserError
        No sample bank is there; it cannot go on for so long; it cannot be written. No day is left behind then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bank = generate(Path(folder) / "bank", customers=50, months=1)
    ...     more = deliver(Path(folder) / "bank", 2)
    ...     sorted(path.name for path in (Path(folder) / "bank" / "2024" / "02" / "01" / "transactions").iterdir())
    ['2024-02-01.parquet']
    >>> more.first_day, more.last_day
    (datetime.date(2024, 2, 1), datetime.date(2024, 2, 2))
    """
    bank = read_bank(Path(out_dir), parameters)
    first, last, settings = next_days(bank, days)
    _check_truth_dir(bank.folder, truth_dir, bank.dirt)
    with ExitStack() as stack:
        truth_folder = None
        if truth_dir is not None:
            (truth_folder,) = stack.enter_context(replaced_folders(Path(truth_dir)))
        staged = stack.enter_context(staged_folder(bank.folder))
        rows = _write_days(bank, settings, first, last, staged=staged, truth_folder=truth_folder, progress=progress)
        if truth_folder is not None and (Path(truth_dir or "") / FAULTS_FOLDER).is_dir():
            shutil.copytree(Path(truth_dir or "") / FAULTS_FOLDER, truth_folder / FAULTS_FOLDER, dirs_exist_ok=True)
        counted = {
            name: bank.manifest["rows"].get(name, 0) + rows.get(name, 0) for name in {*bank.manifest["rows"], *rows}
        }
        manifest = bank.manifest | {
            "rows": dict(sorted(counted.items())),
            "delivered_until": last.isoformat(),
            "customers_then": settings.customers,
        }
        if truth_folder is not None:
            write_manifest(truth_folder, _as_json(manifest))
        move_days(staged, bank)
        write_manifest(bank.folder, _as_json(manifest))
    return GeneratedBank(bank.folder, rows, first, last)


def _write_days(
    bank: KnownBank,
    settings: BankSettings,
    first: date,
    last: date,
    *,
    staged: Path,
    truth_folder: Path | None,
    progress: Progress | None,
) -> dict[str, int]:
    simulation = Simulation(settings)
    with ExitStack() as stack:
        truth, faults = None, _not_recorded
        if truth_folder is not None:
            truth = TruthFiles(truth_folder, simulation)
            stack.callback(truth.close)
            fault_files = FaultFiles(truth_folder)
            stack.callback(fault_files.close)
            faults = fault_files
        files = DailyFiles(staged, bank, first, last, faults)
        _write_bank(simulation, files, truth, progress, first_month=first_month_needed(first))
        files.close()
    return files.rows


def _not_recorded(name: str, faults: Any) -> None:
    """A clean bank has no faults that could be recorded."""
    del name, faults


def parse_start(text: str) -> date:
    """Date of a text like 2024-01-01.

    Raises
    ------
    UserError
        If it is none.

    Examples
    --------
    >>> parse_start("2024-02-01")
    datetime.date(2024, 2, 1)
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            "the sample bank's start is no date",
            where="start",
            found=f"'{text}': {error}",
            valid="the first of a month, for example 2024-01-01",
        ) from error


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


def _check_truth_dir(target: Path, truth_dir: str | Path | None, dirt: Dirt) -> None:
    if truth_dir is None and dirt != CLEAN_ROWS:
        raise UserError(
            "dirt is recorded in the truth, which has no folder",
            where="truth_dir",
            found="none",
            valid="a folder of its own",
            next_step="name one, with --truth",
        )
    if truth_dir is not None and _overlap(target.resolve(), Path(truth_dir).resolve()):
        raise UserError(
            "the truth may not lie inside the bank's folder, nor the bank inside the truth's",
            where="truth_dir",
            found=str(truth_dir),
            valid="a folder of its own",
        )


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


def _manifest(settings: BankSettings, rows: Mapping[str, int]) -> dict[str, Any]:
    """What a bank was made from: nothing of the clock or the machine."""
    return {
        "customers": settings.customers,
        "months": settings.months,
        "start": settings.start.isoformat(),
        "seed": settings.seed,
        "slice": settings.part,
        "rows": dict(sorted(rows.items())),
    }


def _as_json(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=2) + "\n"


def _as_date(day: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day)


Files = TableFiles | SoiledFiles | DailyFiles


def _write_bank(
    simulation: Simulation,
    files: Files,
    truth: TruthFiles | None,
    progress: Progress | None,
    first_month: int = 0,
) -> None:
    """Write the tables and the truth; of months before the first one, and of the opening then, only the truth."""
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
        if first_month <= first.number:
            _write_opening(block, simulation, files, first)
        further.write_opening(block)
        if truth is not None:
            truth.write_opening(block)
    files.finish("balances", "balances")
    for done, month in enumerate(months, start=1):
        is_written = month.number >= first_month
        for position, (block, ledger, record) in enumerate(
            simulation.live(month, None if is_written or truth is not None else FOLLOWED_PRODUCTS)
        ):
            if is_written:
                _write_month(block, ledger, month, simulation, files)
            further.write_month(position, block, ledger, record, month, is_written=is_written)
            if truth is not None:
                truth.write_month(block, month, record)
        if is_written:
            files.finish("transactions", month.name)
            files.finish("complaints", month.name)
            further.finish_month(month)
        if progress is not None:
            progress(done, len(months))
    if truth is not None:
        truth.write_end()


def _write_opening(block: State, simulation: Simulation, files: Files, first: Month) -> None:
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


def _write_month(block: State, ledger: RecordingLedger, month: Month, simulation: Simulation, files: Files) -> None:
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
