"""The installation a run works on: its home, its bank, and the lock that keeps runs apart."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg

from dagster_project.lib.console import console_logger
from dagster_project.lib.environment import Environment, bank_of, parse_as_of, remember
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.sources.bank import Bank


class Installation(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Home, bank and as-of date of a run.

    One run at a time works on a home: the whole run holds a lock, since its steps hand the warehouse to one another.
    """

    home_folder: str
    source: str
    data_folder: str
    as_of_date: str = ""
    delivered_on_date: str = ""

    @property
    def home(self) -> Home:
        """The folders of the installation."""
        return Home(Path(self.home_folder))

    @property
    def data(self) -> Path:
        """The folder with the bank's deliveries."""
        return Path(self.data_folder)

    @property
    def as_of(self) -> date | None:
        """The as-of date asked for; None: of the last complete delivery."""
        return parse_as_of(self.as_of_date or None)

    @property
    def delivered_on(self) -> date | None:
        """Business date of what databases deliver now; None: today at the bank."""
        return parse_as_of(self.delivered_on_date or None, "DELIVERED_ON")

    @property
    def bank(self) -> Bank:
        """Mapping and settings of the bank."""
        return bank_of(self.source)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Installation", None, None]:
        """Prepare the home and hold its lock for the time of the run."""
        self.home.prepare()
        lock = self.home.temporary / "run.lock"
        with lock.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                handle.seek(0)
                raise UserError(
                    "another run is working on this home",
                    where=str(self.home.root),
                    found=f"run {handle.read().strip() or 'unknown'}",
                    next_step="wait until it ends, or end it in the Dagster UI, then start this one again",
                ) from error
            handle.truncate(0)
            handle.write(context.run_id or "")
            handle.flush()
            if context.instance is not None:
                end_dead_runs(context.instance, context.run_id)
            remember(Environment(self.home.root, self.source, self.data, None))
            yield self


def end_dead_runs(instance: dg.DagsterInstance, run_id: str | None) -> None:
    """Mark runs that were killed as failed, and free their places in the pool.

    Whoever holds the lock of the home knows that no other run is alive: a killed one cannot give back its place
    itself, and every later run would wait for it for ever.
    """
    storage = instance.event_log_storage
    for dead in storage.get_concurrency_run_ids() - {run_id}:
        storage.free_concurrency_slots_for_run(dead)
    begun = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(begun):
        if run.run_id != run_id:
            instance.report_run_failed(run, "The process of this run ended without a word: it was killed.")


def installation_of(environment: Environment) -> Installation:
    """The resource that works on what the environment names."""
    return Installation(
        home_folder=str(environment.home),
        source=environment.source,
        data_folder=str(environment.data),
        as_of_date="" if environment.as_of is None else environment.as_of.isoformat(),
        delivered_on_date="" if environment.delivered_on is None else environment.delivered_on.isoformat(),
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """The resources of every run."""
    return dg.Definitions(
        resources={"installation": installation_of(Environment.read())},
        loggers={"console": console_logger},
        executor=dg.in_process_executor,
    )
