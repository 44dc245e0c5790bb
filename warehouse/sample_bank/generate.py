"""The sample bank as files: `generate` writes the tables of the contract and, apart, the truth they were made from."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
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
    INITIAL,
    DailyFiles,
    FaultFiles,
    KnownBank,
    SoiledFiles,
    dirt_in_manifest,
    first_month_needed,
    move_days,
    next_days,
    read_bank,
    read_manifest,
)
from warehouse.sample_bank.dirt import CLEAN_ROWS, Dirt
from warehouse.sample_bank.files import (
    FORMATS,
    MANIFEST,
    TRUTH_MANIFEST,
    TableFiles,
    locked_folder,
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

VERSION = 5
"""Goes up when other bytes come out of the same arguments."""

#: What of a manifest tells banks apart.
_MADE_FROM = ("version", "parameters", "customers", "months", "start", "seed", "slice", "dirt")

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
    targets = [(target, MANIFEST)]
    if truth_dir is not None:
        targets.append((Path(truth_dir), TRUTH_MANIFEST))
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
        for folder, (_, name) in zip(folders, targets, strict=True):
            write_manifest(folder, _as_json(manifest), name)
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
        Folder for the truth up to the end of the last day's month; that of this bank is replaced, another refused.
        Needed where the bank has dirt: the one with all of its faults so far.
    parameters
        What the bank was generated with; others are refused.
    progress
        Called with the months done and the months to do.

    Returns
    -------
    GeneratedBank
        Rows that were delivered, by table, and the first and last of the days.

    Raises
    ------
    UserError
        No sample bank is there, or one of another version or other parameters; the truth is another bank's; another
        run is at work; it cannot go on for so long; it cannot be written. No day is left behind then.

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
    folder, truth_folder = Path(out_dir), None if truth_dir is None else Path(truth_dir)
    with ExitStack() as stack:
        stack.enter_context(locked_folder(folder))
        _check_maker(folder, parameters)
        bank = read_bank(folder, parameters)
        first, last, settings = next_days(bank, days)
        _check_truth_dir(bank.folder, truth_dir, bank.dirt)
        staged = stack.enter_context(staged_folder(bank.folder))
        with ExitStack() as of_truth:
            written = None
            if truth_folder is not None:
                (written,) = of_truth.enter_context(replaced_folders((truth_folder, TRUTH_MANIFEST)))
                _check_truth_of(bank, truth_folder)
            rows = _write_days(bank, settings, first, last, staged=staged, truth_folder=written, progress=progress)
            counted = {
                name: bank.manifest["rows"].get(name, 0) + rows.get(name, 0) for name in {*bank.manifest["rows"], *rows}
            }
            manifest = bank.manifest | {
                "rows": dict(sorted(counted.items())),
                "delivered_until": last.isoformat(),
                "customers_then": settings.customers,
            }
            if truth_folder is not None and written is not None:
                _keep_faults(truth_folder / FAULTS_FOLDER, written / FAULTS_FOLDER, bank.until)
                write_manifest(written, _as_json(manifest), TRUTH_MANIFEST)
        # The truth comes first: should the days not follow, it is ahead of the bank and is written again with them.
        move_days(staged, bank)
        write_manifest(bank.folder, _as_json(manifest))
    return GeneratedBank(bank.folder, rows, first, last)


def _check_maker(folder: Path, parameters: Parameters) -> None:
    """Refuse a bank whose lives this program would not carry on: of another version, or of other parameters."""
    manifest = read_manifest(folder / MANIFEST)
    for name, other, valid in (
        ("version", "another version", VERSION),
        ("parameters", "other parameters", _parameters_hash(parameters)),
    ):
        if manifest.get(name) != valid:
            raise UserError(
                f"the sample bank was made with {other}: other lives would go on in it",
                where=str(folder / MANIFEST),
                found=f"{name}: {manifest.get(name, 'none')}",
                valid=f"{name}: {valid}",
                next_step="write the bank again, or let the program and the parameters that made it go on",
            )


def _check_truth_of(bank: KnownBank, folder: Path) -> None:
    """Refuse the truth of another bank, and for a bank with dirt one that does not know all of its faults."""
    path = folder / TRUTH_MANIFEST
    if not path.exists() and bank.dirt == CLEAN_ROWS:
        return
    told = read_manifest(path) if path.exists() else {}
    differing = [name for name in _MADE_FROM if told.get(name) != bank.manifest.get(name)]
    until = told.get("delivered_until") or bank.initial_end.isoformat()
    if bank.dirt != CLEAN_ROWS and str(until) < bank.until.isoformat():
        differing.append("delivered_until")
    if differing:
        raise UserError(
            "the truth in the folder is not this bank's",
            where=str(folder),
            found=f"another {', '.join(differing)}" if told else f"no {TRUTH_MANIFEST}",
            valid="the folder that was named when the bank was written"
            + ("" if bank.dirt == CLEAN_ROWS else ": its faults so far stand nowhere else"),
            next_step="name that folder" + (", or a new one" if bank.dirt == CLEAN_ROWS else ""),
        )


def _keep_faults(told: Path, written: Path, until: date) -> None:
    """Carry the faults of the initial load and of the days that were delivered over into the new truth."""
    for path in sorted(told.glob("*.parquet")):
        if path.stem == INITIAL or path.stem <= until.isoformat():
            written.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, written / path.name)


def _parameters_hash(parameters: Parameters) -> str:
    """Sixteen characters that stand for all parameters."""
    text = json.dumps(asdict(parameters), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


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
        "version": VERSION,
        "parameters": _parameters_hash(settings.parameters),
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
    files.write("complaints", month.name, complaints_table(people, seed, ledger.complaints_made()))
