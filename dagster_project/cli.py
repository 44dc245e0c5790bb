"""The console program `mainbank`: thin commands over the rooms. What a command does is in the room it calls."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from dagster_project.lib.environment import Environment, parse_as_of, remembered
from warehouse.errors import UserError
from warehouse.home import Home

if TYPE_CHECKING:
    from warehouse.sources.bank import Bank

application = typer.Typer(
    name="mainbank",
    help="A customer warehouse and mining pipeline for banks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
sources = typer.Typer(help="What a bank brings, and how it is mapped.", no_args_is_help=True)
release = typer.Typer(help="What readers open.", no_args_is_help=True)
quarantine = typer.Typer(help="Rows that could not be landed.", no_args_is_help=True)
application.add_typer(sources, name="sources")
application.add_typer(release, name="release")
application.add_typer(quarantine, name="quarantine")
quality = typer.Typer(help="What was checked, and what was found.", no_args_is_help=True)
application.add_typer(quality, name="quality")
knowledge = typer.Typer(help="What was found, what of it stands, and what experts say.", no_args_is_help=True)
application.add_typer(knowledge, name="knowledge")
vault = typer.Typer(help="Clear identifiers and their keys; every reading is recorded.", no_args_is_help=True)
application.add_typer(vault, name="vault")
identity = typer.Typer(help="Which records are one person; every decision is kept.", no_args_is_help=True)
application.add_typer(identity, name="identity")

console = Console(highlight=False)

SourceOption = Annotated[
    str | None, typer.Option(help="A shipped mapping (berka), a bank's folder, or a mapping file.")
]
AsOfOption = Annotated[str | None, typer.Option(help="Build as of this date, as 2024-03-31.")]
DeliveredOnOption = Annotated[
    str | None, typer.Option(help="Business date of what databases deliver now; today at the bank by default.")
]
CustomersOption = Annotated[int | None, typer.Option(help="Size of the sample bank.")]
DEFAULT_CUSTOMERS = 20_000
PurposeOption = Annotated[str, typer.Option(help="Why: a purpose of the role (warehouse/vault/access.yml).")]
RoleOption = Annotated[str, typer.Option(help="As what you read.")]
DataOption = Annotated[Path | None, typer.Option(help="The folder with the bank's deliveries.")]


def home_of_process() -> Home:
    """``MAINBANK_HOME``, or the folder ``data`` where the command is given."""
    return Home(Path(os.environ.get("MAINBANK_HOME") or "data").resolve())


@application.command()
def run(
    source: SourceOption = None,
    data: DataOption = None,
    as_of: AsOfOption = None,
    customers: CustomersOption = None,
    delivered_on: DeliveredOnOption = None,
) -> None:
    """Land, transform, mine and release: the Dagster job `daily_refresh`, in this process."""
    # Dagster and dbt take seconds to import: commands that need neither do not wait for them.
    from dagster_project.lib.run import run_job  # noqa: PLC0415

    environment = choose_environment(home_of_process(), source, data, as_of, customers)
    environment = replace(environment, delivered_on=parse_as_of(delivered_on, "DELIVERED_ON"))
    raise typer.Exit(run_job("daily_refresh", environment, console))


@application.command()
def retrain(
    source: SourceOption = None,
    data: DataOption = None,
    as_of: AsOfOption = None,
    customers: CustomersOption = None,
    delivered_on: DeliveredOnOption = None,
) -> None:
    """Refresh, and fit the models anew: the Dagster job `retrain`. A model that fails its gates changes nothing."""
    from dagster_project.lib.run import run_job  # noqa: PLC0415

    environment = choose_environment(home_of_process(), source, data, as_of, customers)
    environment = replace(environment, delivered_on=parse_as_of(delivered_on, "DELIVERED_ON"))
    raise typer.Exit(run_job("retrain", environment, console))


@application.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder to write; a sample bank there is replaced.")],
    *,
    customers: Annotated[
        int | None, typer.Option(help=f"Customers at the end of the window ({DEFAULT_CUSTOMERS}).")
    ] = None,
    months: Annotated[int | None, typer.Option(help="Length of the window (24).")] = None,
    start: Annotated[str | None, typer.Option(help="First day, the first of a month (2024-01-01).")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed is another bank (1).")] = None,
    format_: Annotated[
        list[str] | None, typer.Option("--format", help="parquet (the default) or csv; both if given twice.")
    ] = None,
    dirt: Annotated[
        float | None,
        typer.Option(help="Share of the rows about customers with something wrong; needs --truth, which records it."),
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Folder for the truth the bank was made from.")] = None,
    days: Annotated[
        int | None, typer.Option(help="Let the bank in the folder go on: its next days, as deliveries.")
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            help="Also load it into this database: postgresql://, mysql:// or sqlite:///; --out gets a mapping."
        ),
    ] = None,
) -> None:
    """Write the sample bank as files, or its next days: the same arguments give the same bytes."""
    from warehouse.sample_bank.dirt import Dirt  # noqa: PLC0415
    from warehouse.sample_bank.generate import deliver, generate, parse_start  # noqa: PLC0415

    chosen = {
        "customers": customers, "months": months, "start": start, "seed": seed, "format": format_ or None, "dirt": dirt,
    }  # fmt: skip
    given = [f"--{name}" for name, value in chosen.items() if value is not None]
    if days is not None and given:
        raise UserError(
            "a bank that goes on stays what it is",
            where=", ".join(given),
            found=f"beside --days {days}",
            valid="--out and --truth",
            next_step="leave them out, or write a bank anew without --days",
        )
    formats = tuple(format_ or ["parquet"])
    if into is not None and (days is not None or "parquet" not in formats):
        raise UserError(
            "a database is filled with a whole bank, from its Parquet files",
            where="--into",
            found=f"beside --days {days}" if days is not None else "beside --format csv alone",
            valid="--into with neither, or --format parquet --format csv",
            next_step="leave --into out, or generate the bank for more months",
        )
    with month_progress() as progress:
        if days is not None:
            bank = deliver(out, days, truth_dir=truth, progress=progress)
        else:
            bank = generate(
                out,
                customers=DEFAULT_CUSTOMERS if customers is None else customers,
                months=24 if months is None else months,
                start=parse_start("2024-01-01" if start is None else start),
                seed=1 if seed is None else seed,
                formats=formats,
                truth_dir=truth,
                dirt=Dirt() if dirt is None else Dirt.of_rate(dirt, formats),
                progress=progress,
            )
    if into is not None:
        from warehouse.sample_bank.databases import addresses, load  # noqa: PLC0415

        load(out, into, out)
        console.print(f"loaded; the mapping is {out / 'mapping.yml'}. Set {', '.join(addresses(out))}", soft_wrap=True)
    for table, rows in bank.rows.items():
        console.print(f"{table:<16} {rows:>12,}")
    console.print(f"{bank.first_day} to {bank.last_day} in {out}", soft_wrap=True)


@contextmanager
def month_progress() -> Iterator[Callable[[int, int], None]]:
    """Show the months of the sample bank that are written; nothing is shown while none is."""
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("writing the sample bank", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def choose_environment(
    home: Home, source: str | None, data: Path | None, as_of: str | None, customers: int | None
) -> Environment:
    """What to run on: the bank that is named, or the sample bank.

    Raises
    ------
    UserError
        If a bank is named without its data, or data without a bank.
    """
    day = parse_as_of(as_of)
    if source is None and data is None:
        from warehouse.sample_bank.generate import ensure_generated  # noqa: PLC0415

        home.prepare()
        size = DEFAULT_CUSTOMERS if customers is None else customers
        console.print(f"No SOURCE given: the sample bank of {size:,} customers is used.")
        with month_progress() as progress:
            return Environment(home.root, "sample", ensure_generated(home.root / "sample", size, progress), day)
    if source is not None and data is None:
        from dagster_project.lib.environment import bank_of  # noqa: PLC0415

        bank = bank_of(source)
        if all(item.database is not None for item in bank.mapping.sources.values()):
            # Nothing comes as a file.
            data = bank.folder
    if source is None or data is None:
        raise UserError(
            "a bank is its mapping and its data, and one of them is missing",
            where="SOURCE" if source is None else "DATA",
            valid="both, or none of them for the sample bank",
            next_step="make run SOURCE=berka DATA=/path/to/the/files",
        )
    if customers is not None:
        raise UserError(
            "the size can be chosen for the sample bank only",
            where="CUSTOMERS",
            found=f"{customers} beside SOURCE={source}",
            next_step="leave CUSTOMERS out, or SOURCE and DATA",
        )
    if not data.is_dir():
        raise UserError(
            "the folder with the deliveries is not there",
            where="DATA",
            found=str(data),
            valid="an existing folder",
        )
    return Environment(home.root, source, data.resolve(), day)


@application.command()
def dev(
    source: SourceOption = None,
    data: DataOption = None,
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
) -> None:
    """Start the Dagster UI on this home, with the schedules."""
    from dagster_project.lib.run import prepare_dagster  # noqa: PLC0415

    home = home_of_process()
    if source is None and data is None and (known := remembered(home.root)) is not None:
        environment = known
    else:
        environment = choose_environment(home, source, data, None, None)
    prepare_dagster(environment)
    raise typer.Exit(
        subprocess.run(
            [
                str(Path(sys.executable).with_name("dagster")),
                "dev",
                "--module-name",
                "dagster_project.definitions",
                "--port",
                str(port),
            ],
            env={**os.environ, **environment.variables()},
            check=False,
        ).returncode
    )


@sources.command("check")
def sources_check(
    mapping: Annotated[str, typer.Argument(help="A mapping file, a bank's folder, or a shipped name.")],
    data: DataOption = None,
) -> None:
    """Say what of a mapping fits the contract, its databases and the files, what is missing, what it will do."""
    from dagster_project.lib.overrides import FOLDER, read_overrides  # noqa: PLC0415
    from warehouse.sources.bank import load_bank  # noqa: PLC0415
    from warehouse.sources.validation import CheckLine  # noqa: PLC0415
    from warehouse.trial import check_bank  # noqa: PLC0415

    bank = load_bank(mapping)
    lines = check_bank(bank, data)
    lines += [
        CheckLine("ok", f"{FOLDER}/{override.file.name}", f"{len(override.rows)} rows in place of what is shipped")
        for override in read_overrides(bank, home_of_process())
    ]
    table = Table("", "where", "what", box=None, pad_edge=False)
    for line in lines:
        table.add_row(line.status, line.where, line.what)
    console.print(table)
    raise typer.Exit(2 if any(line.status == "error" for line in lines) else 0)


@sources.command("init")
def sources_init(
    url: Annotated[
        str, typer.Argument(help="Address of a database, or (better) the name of the environment variable with it.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write mapping.yml and bank.yml into.")] = Path("my_bank"),
    schema: Annotated[list[str] | None, typer.Option(help="Only this schema; may be given several times.")] = None,
) -> None:
    """Propose a mapping from a database's own schema, to be read and corrected."""
    from warehouse.sources.database import Address  # noqa: PLC0415
    from warehouse.sources.proposal import propose, propose_settings, proposed_name  # noqa: PLC0415

    is_variable = ":" not in url
    variable = url if is_variable else "SOURCE_DATABASE_URL"
    address = Address.from_environment(variable, "sources init") if is_variable else Address.of(url)
    file = out / "mapping.yml"
    if file.exists():
        raise UserError("there is a mapping already", where=str(file), next_step="name another folder with --out")
    text = propose(address, variable, schema or (), bank=proposed_name(out))
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    if not (out / "bank.yml").exists():
        (out / "bank.yml").write_text(propose_settings(proposed_name(out)), encoding="utf-8")
    console.print(
        f"written: {file} and {out / 'bank.yml'}; read them, then: mainbank sources check {out}", soft_wrap=True
    )
    if not is_variable:
        console.print(f"The address is not written there: set {variable} to it.", soft_wrap=True)


@release.command("list")
def release_list() -> None:
    """List the releases that are kept; the one readers see is marked."""
    from warehouse.release import list_releases  # noqa: PLC0415

    for item in list_releases(home_of_process()):
        console.print(f"{'*' if item.is_current else ' '} {item.release_id}  {item.bank}  {item.file}", soft_wrap=True)


@release.command("rollback")
def release_rollback(
    release_id: Annotated[str | None, typer.Argument(help="Which; the one before the current by default.")] = None,
) -> None:
    """Let readers see an earlier release again."""
    from warehouse.release import roll_back  # noqa: PLC0415

    console.print(f"current is now {roll_back(home_of_process(), release_id).release_id}")


@release.command("prune")
def release_prune(kept: Annotated[int, typer.Option(help="How many to keep.", min=1)]) -> None:
    """Delete the oldest releases; the current one always stays."""
    from warehouse.release import prune  # noqa: PLC0415

    for name in prune(home_of_process(), kept):
        console.print(f"deleted {name}")


@quarantine.command("list")
def quarantine_list() -> None:
    """Show what could not be landed, by delivery, column and reason; classed values are masked."""
    from warehouse.quarantine import summarise  # noqa: PLC0415

    table = Table("delivery", "source", "file", "column", "reason", "rows", "first line", box=None, pad_edge=False)
    # whole: it is what replay asks for
    table.columns[0].overflow, table.columns[0].no_wrap = "ignore", True
    for item in summarise(home_of_process()):
        table.add_row(
            item.delivery_id, item.source, item.file, item.column, item.reason, str(item.rows), str(item.first_line)
        )
    console.print(table)


@knowledge.command("list")
def knowledge_list(
    everything: Annotated[bool, typer.Option("--all", help="Also what tests or experts killed.")] = False,
    task: Annotated[str | None, typer.Option(help="Of one mining task.")] = None,
) -> None:
    """List the verified knowledge of the current release, and its kill rate."""
    from dagster_project.lib.knowledge import kill_rates, listed  # noqa: PLC0415

    home = home_of_process()
    for row in listed(home, everything=everything, task=task):
        said = f", {row.verdict} until {row.expires_on}" if row.verdict else ""
        why = f" by {row.killed_by}" if row.killed_by else ""
        console.print(f"{row.knowledge_id}  {row.task}  {row.status}{why}{said}", markup=False, soft_wrap=True)
        if row.pending:
            console.print(f"  judged since: {row.pending}; in force from the next run", markup=False, soft_wrap=True)
        console.print(f"  {row.statement_en}\n  {row.statement_zh}", markup=False, soft_wrap=True)
    for name, kind, found, shown, ratio in kill_rates(home):
        share = "no kill rate: nothing was found" if ratio is None else f"kill rate {100 * ratio:.0f} %"
        console.print(f"{name}, {kind}: {found:,} found beyond chance, {shown:,} left; {share}", markup=False)


@knowledge.command("judge")
def knowledge_judge(
    knowledge_id: Annotated[str, typer.Argument(help="As `knowledge list` shows it.")],
    verdict: Annotated[str, typer.Option(help="confirmed, contradicts_fact, trivial or not_actionable.")],
    reason: Annotated[str, typer.Option(help="Why; it is shown beside the verdict.")],
    expires: Annotated[str | None, typer.Option(help="As 2026-12-31; a year from the as-of date by default.")] = None,
) -> None:
    """Record an expert's verdict on a finding. What was said before stays; the next run shows it."""
    from dagster_project.lib.knowledge import judge  # noqa: PLC0415

    until = judge(home_of_process(), knowledge_id, verdict, reason, expires, who=user_of_process())
    console.print(f"{knowledge_id}: {verdict} until {until}; in force from the next run", markup=False, soft_wrap=True)


@quarantine.command("replay")
def quarantine_replay(
    delivery: Annotated[
        str | None, typer.Argument(help="Delivery, as `quarantine list` names it; all of them by default.")
    ] = None,
    repaired: Annotated[
        Path | None, typer.Option(help="JSON lines: source_row, and the columns that are put right.")
    ] = None,
    source: SourceOption = None,
) -> None:
    """Land what was repaired, or what the mapping, corrected since, accepts; the rest stays quarantined."""
    from warehouse.replay import replay  # noqa: PLC0415

    home = home_of_process()
    results = replay(bank_in_force(home, source), home, delivery, repaired=repaired, progress=console.print)
    landed = sum(result.entry.rows_landed for result in results)
    console.print(f"{landed:,} {'row' if landed == 1 else 'rows'} landed; the next run registers them", soft_wrap=True)


@quality.command("failures")
def quality_failures(
    test: Annotated[str, typer.Argument(help="A test of dbt, as in meta.quality or the UI.")],
    limit: Annotated[int, typer.Option(help="How many rows at most, of each rule.", min=1)] = 20,
) -> None:
    """Show the rows that a test finds wrong in the warehouse as it stands; values of classed columns are masked."""
    from dagster_project.lib.failures import failing_rows  # noqa: PLC0415

    home = home_of_process()
    rows = failing_rows(home, bank_in_force(home), test, limit)
    for rule in dict.fromkeys(row.rule for row in rows):
        console.print(rule or test, markup=False, soft_wrap=True)
        for row in rows:
            if row.rule == rule:
                values = ", ".join(f"{name} {value}" for name, value in row.values.items() if value is not None)
                console.print(f"  {values}", markup=False, soft_wrap=True)
    console.print(f"{len(rows)} failing rows of {test}" if rows else f"{test}: no row fails", soft_wrap=True)


def user_of_process() -> str:
    """Account of whoever gave the command, for the record of what was read and decided.

    It is the account of the process: names in the environment are whatever somebody writes there.
    """
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # as in a container without an account of that number
        return f"uid {number}"


@vault.command("status")
def vault_status() -> None:
    """Show what the vault holds, by number, after opening every key and comparing every file with its manifest."""
    from warehouse.vault import KEY_VARIABLE, status  # noqa: PLC0415

    source = KEY_VARIABLE if KEY_VARIABLE in os.environ else "vault/master.key"
    found = status(home_of_process(), source)
    for name, value in (
        ("master key", f"{found.master_key}, from {found.key_source}"),
        ("token key", found.token_key),
        ("keys of records", f"{found.records:,}"),
        ("keys of blocks", f"{found.blocks:,}"),
        ("sealed files", f"{found.sealed_files:,}, {found.sealed_bytes:,} bytes"),
        ("readings", f"{found.readings:,}, {found.refused:,} of them refused"),
    ):
        console.print(f"{name:<16} {value}", markup=False, soft_wrap=True)


@vault.command("show")
def vault_show(
    record: Annotated[str, typer.Argument(help="Record id: 64 hexadecimal digits.")],
    purpose: PurposeOption,
    role: RoleOption = "data_protection_officer",
    authority: Annotated[str | None, typer.Option(help="Which authority asks; for disclosure.")] = None,
) -> None:
    """Show the clear values of one record. The reading is recorded, also when it is refused."""
    from warehouse.vault import read_clear  # noqa: PLC0415

    home = home_of_process()
    bank = bank_in_force(home)
    values = read_clear(
        home,
        bank.name,
        [record],
        purpose=purpose,
        role=role,
        who=user_of_process(),
        authority=authority,
        mapping=bank.mapping,
    )
    table = Table("source", "known on", "row", "column", "value", box=None, pad_edge=False)
    for value in values:
        table.add_row(value.source, str(value.known_on), str(value.source_row), value.column, escape(value.value))
    console.print(table if values else "nothing: no such record, no identifying values, or erased")


@vault.command("rotate")
def vault_rotate() -> None:
    """Exchange the master key; no token changes. Killed at any point, the next command completes it."""
    from warehouse.vault import KEY_VARIABLE, NEW_KEY_VARIABLE, begin_rotation  # noqa: PLC0415

    old, new = begin_rotation(home_of_process().vault)
    console.print(f"master key {old} is now {new}")
    if KEY_VARIABLE in os.environ:
        console.print(
            f"set {KEY_VARIABLE} to the new key from now on, and take {NEW_KEY_VARIABLE} away", soft_wrap=True
        )


def bank_in_force(home: Home, source: str | None = None) -> Bank:
    """Mapping and settings of a bank; by default of the one the home was last run with.

    Raises
    ------
    UserError
        If none is named and no run is noted in the home.
    """
    from dagster_project.lib.environment import bank_of  # noqa: PLC0415

    if source is not None:
        return bank_of(source)
    known = remembered(home.root)
    if known is None:
        raise UserError(
            "no run is noted in this home: which bank it is of is not known",
            where=str(home.root),
            next_step="run: mainbank run; of what was landed without it: mainbank quarantine replay --source BANK",
        )
    return bank_of(known.source)


ReasonOption = Annotated[str, typer.Option(help="Why; it is kept with the decision.")]


@identity.command("show")
def identity_show(person: Annotated[str, typer.Argument(help="person_id.")]) -> None:
    """Show the records of a person and why each is one."""
    from warehouse.identity import decisions  # noqa: PLC0415

    home = home_of_process()
    for record in decisions.records_of(home, bank_in_force(home), [person])[person]:
        console.print(f"{record.place:<28} {record.evidence}", markup=False, soft_wrap=True)


@identity.command("merge")
def identity_merge(
    persons: Annotated[list[str], typer.Argument(help="person_id of each of those who are one.")],
    reason: ReasonOption,
) -> None:
    """Decide that persons are one; the next run makes them one, under the id that was known first."""
    from warehouse.identity import decisions  # noqa: PLC0415

    home = home_of_process()
    decisions.merge(home, bank_in_force(home), persons, reason=reason, who=user_of_process())
    console.print(f"decided: {', '.join(persons)} are one person; in force from the next run", soft_wrap=True)


@identity.command("split")
def identity_split(
    person: Annotated[str, typer.Argument(help="person_id.")],
    record: Annotated[list[str], typer.Option(help="A record that is somebody else's, as system:id; once for each.")],
    reason: ReasonOption,
) -> None:
    """Decide that records are not of a person; the next run parts them for good."""
    from warehouse.identity import decisions  # noqa: PLC0415

    home = home_of_process()
    decisions.split(home, bank_in_force(home), person, record, reason=reason, who=user_of_process())
    console.print(f"decided: {', '.join(record)} not of {person}; in force from the next run", soft_wrap=True)


@identity.command("train")
def identity_train(reason: ReasonOption, seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 1) -> None:
    """Estimate from the bank's own records how much it says that they agree or differ; nothing is labelled."""
    from warehouse.identity.training import train  # noqa: PLC0415

    home = home_of_process()
    model = train(home, bank_in_force(home), seed=seed, reason=reason, who=user_of_process())
    for comparison, levels in model.as_dictionary()["comparisons"].items():
        for level, stated in levels.items():
            console.print(f"{comparison:<12} {level:<28} m {stated['m']:<10.4g} u {stated['u']:.4g}", markup=False)
    console.print(f"model {model.name} is in force from the next run", soft_wrap=True)


@application.command()
def erase(
    persons: Annotated[list[str], typer.Argument(help="person_id, one or several.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the certificate.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and change nothing.")] = False,
    with_shared: Annotated[bool, typer.Option("--with-shared", help="Also accounts that others hold too.")] = False,
) -> None:
    """Erase persons: keys destroyed, deliveries rewritten, the warehouse built anew by the next run."""
    from warehouse import erasure  # noqa: PLC0415

    home = home_of_process()
    bank, who = bank_in_force(home), user_of_process()
    if dry_run:
        planned = erasure.plan(home, bank, persons, who=who)
        rows = planned.rows
        for name, value in (
            ("persons", f"{len(rows.person_ids):,}"),
            ("source records", f"{len(rows.record_ids):,}, their keys destroyed"),
            ("accounts", f"{len(rows.accounts):,}, {len(rows.shared_accounts):,} of them shared with others"),
            ("landed rows", f"{sum(map(len, rows.landed.values())):,} in {len(rows.landed):,} deliveries"),
            ("quarantined", f"{sum(map(len, rows.quarantined.values())):,} that name them"),
            ("perhaps theirs", f"{sum(map(len, rows.perhaps_quarantined.values())):,} quarantined that name nobody"),
            ("superseded", f"{len(rows.superseded):,} deliveries no longer in force, their files deleted"),
            ("models", ", ".join(planned.models) or "none"),
            ("releases", f"{', '.join(planned.releases) or 'none'} (each until it is pruned)"),
            ("as-of builds", f"{', '.join(planned.as_of_files) or 'none'} (deleted)"),
            ("legal holds", "; ".join(f"{person}: {why}" for person, why in planned.holds.items()) or "none"),
        ):
            console.print(f"{name:<16} {value}", markup=False, soft_wrap=True)
        console.print("Nothing was changed.")
        return
    certificate = erasure.erase(home, bank, persons, reason=reason, who=who, with_shared=with_shared)
    console.print(f"erased; certificate {certificate['certificate']}", soft_wrap=True)
    console.print(f"{len(certificate['deliveries'])} deliveries were rewritten; the warehouse is built by the next run")
    if certificate["releases"]:
        console.print(
            f"Releases that still hold the person until they are pruned: {', '.join(certificate['releases'])}. "
            "After the next run: mainbank release prune --kept 1",
            soft_wrap=True,
        )
    if certificate["models"]:
        console.print(
            f"Models fitted with the person: {', '.join(certificate['models'])}. To fit anew: make retrain",
            soft_wrap=True,
        )


@application.command()
def hold(
    person: Annotated[str, typer.Argument(help="person_id.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    release_: Annotated[bool, typer.Option("--release", help="End the hold.")] = False,
) -> None:
    """Put a person under legal hold, which blocks erasure; or release them."""
    from warehouse.erasure import set_hold  # noqa: PLC0415

    home = home_of_process()
    set_hold(home, bank_in_force(home), person, reason=reason, who=user_of_process(), is_release=release_)
    console.print(f"{person}: {'released' if release_ else 'held'}", markup=False)


@application.command()
def export(
    person: Annotated[str, typer.Argument(help="person_id.")],
    purpose: PurposeOption,
    role: RoleOption = "customer_request",
    out: Annotated[Path | None, typer.Option(help="File to write, mode 0600; the screen by default.")] = None,
) -> None:
    """Give all that is held of a person, as JSON. The reading is recorded."""
    from warehouse.export import export_person  # noqa: PLC0415
    from warehouse.vault.files import write_new  # noqa: PLC0415

    home = home_of_process()
    held = export_person(home, bank_in_force(home), person, purpose=purpose, role=role, who=user_of_process())
    text = json.dumps(held, ensure_ascii=False, indent=1, default=str)
    if out is None:
        sys.stdout.write(text + "\n")
    else:
        write_new(out, text.encode())
        console.print(f"written to {out}", markup=False, soft_wrap=True)


def main() -> None:
    """Entry point: a user's mistake is told without a traceback and ends with exit code 2."""
    try:
        application()
    except UserError as error:
        Console(stderr=True, highlight=False).print(f"mainbank: {error}", markup=False, soft_wrap=True)
        sys.exit(UserError.exit_code)
