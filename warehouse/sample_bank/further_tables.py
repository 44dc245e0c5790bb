"""All tables that look on while the lives of `life` are lived: they read states and ledgers and change neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.branches import BRANCH_IDS
from warehouse.sample_bank.campaigns import CampaignLists, campaigns_table
from warehouse.sample_bank.columns import dates, decimals
from warehouse.sample_bank.contacts import Contacts
from warehouse.sample_bank.cost_rates import cost_rates_table
from warehouse.sample_bank.customer_values import CustomerValues
from warehouse.sample_bank.customers import customer_ids
from warehouse.sample_bank.customers_elsewhere import customers_elsewhere_tables
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.employees import employees_table
from warehouse.sample_bank.files import TableFiles
from warehouse.sample_bank.ftp_curve import ftp_curve_table
from warehouse.sample_bank.further_parameters import CAMPAIGN_TEMPLATES, CONTACT_TRIGGERS
from warehouse.sample_bank.fx_rates import HISTORY_MONTHS as FX_HISTORY_MONTHS
from warehouse.sample_bank.fx_rates import fx_rates_table
from warehouse.sample_bank.gl_balances import GeneralLedger
from warehouse.sample_bank.ledger import RecordingLedger
from warehouse.sample_bank.life import MonthRecord
from warehouse.sample_bank.loans import Arrears, loan_status_table, payment_schedule_table
from warehouse.sample_bank.parameters import LOAN_PRODUCTS
from warehouse.sample_bank.product_nav import HISTORY_MONTHS as NAV_HISTORY_MONTHS
from warehouse.sample_bank.product_nav import product_nav_table
from warehouse.sample_bank.relationships import assignments_table, opening_assignments_table
from warehouse.sample_bank.simulation import BankSettings, Simulation
from warehouse.sample_bank.state import State
from warehouse.sample_bank.survey_responses import branch_service, survey_table

#: Products whose postings are needed even of months that are not written: arrears run on from month to month.
FOLLOWED_PRODUCTS = LOAN_PRODUCTS
#: Tables with one file per month.
MONTHLY = ("contacts", "payment_schedule", "loan_status")


@dataclass
class _Onlookers:
    """What the tables remember of one block from month to month."""

    arrears: Arrears
    contacts: Contacts
    campaigns: CampaignLists
    values: CustomerValues | None


def planted(settings: BankSettings) -> Mapping[str, object]:
    """What the tables are made from, beside `Parameters`: for the truth."""
    service = branch_service(settings.seed, settings.parameters)
    return {
        "contact_triggers": [asdict(trigger) for trigger in CONTACT_TRIGGERS],
        "campaigns": [asdict(campaign) for campaign in CAMPAIGN_TEMPLATES],
        "branch_service": dict(zip(BRANCH_IDS, service.tolist(), strict=True)),
    }


class Files(Protocol):
    """What takes tables: files of a window, or of the days after it."""

    def write(self, table: str, name: str, rows: pa.Table) -> None:
        """Append rows to a file of a table."""
        ...

    def finish(self, table: str, name: str) -> None:
        """Close a file."""
        ...


class FurtherTables:
    """Writes the tables of staff, prices, books, loans, contacts, surveys and campaigns, and their truth.

    Parameters
    ----------
    simulation
        The bank that is being written.
    files
        Takes the tables.
    truth
        Takes the truth; None: it is not wanted.
    """

    def __init__(self, simulation: Simulation, files: Files, truth: TableFiles | None) -> None:
        self._simulation, self._files, self._truth = simulation, files, truth
        settings = simulation.settings
        self._settings = settings
        self._staff = simulation.staff
        self._ledger = GeneralLedger(settings.parameters)
        self._onlookers: list[_Onlookers] = []

    def _write(self, table: str, rows: pa.Table, name: str | None = None) -> None:
        self._files.write(table, name or table, rows)

    def _tell(self, table: str, rows: pa.Table) -> None:
        if self._truth is not None:
            self._truth.write(table, table, rows)

    def write_fixed(self) -> None:
        """Write what does not depend on customers."""
        settings, market = self._settings, self._simulation.market
        seed, parameters = settings.seed, settings.parameters
        first, last = settings.all_months[0], settings.all_months[-1]
        self._write("employees", employees_table(self._staff, seed, parameters, first.first_day - 1, last.last_day))
        nav_months = list(range(first.number - NAV_HISTORY_MONTHS, last.number + 1))
        self._write("product_nav", product_nav_table(market, seed, parameters, nav_months))
        fx_months = list(range(first.number - FX_HISTORY_MONTHS, last.number + 1))
        self._write("fx_rates", fx_rates_table(seed, parameters, fx_months))
        self._write("ftp_curve", ftp_curve_table(market, last.number, parameters))
        self._write("cost_rates", cost_rates_table(parameters, first.year, last.year))
        self._write("campaigns", campaigns_table([month.number for month in settings.all_months]))

    def write_opening(self, block: State) -> None:
        """Write how a block stands when the window opens, and plan its first month."""
        settings, market = self._settings, self._simulation.market
        seed, parameters, first = settings.seed, settings.parameters, settings.first_month
        looks_on = _Onlookers(
            Arrears.none(len(block)),
            Contacts(self._staff, market, seed, parameters),
            CampaignLists(seed, parameters),
            None if self._truth is None else CustomerValues(block, market, parameters, settings.all_months[-1].number),
        )
        self._onlookers.append(looks_on)
        self._write("relationship_assignments", opening_assignments_table(block))
        self._write_elsewhere(block)
        self._plan(looks_on, block, first)

    def _write_elsewhere(self, block: State) -> None:
        people, settings = block.people, self._settings
        # Another system records a customer up to months after he joined: what the window does not see is not there.
        table, truth = customers_elsewhere_tables(
            people, settings.seed, settings.parameters, last_day=settings.all_months[-1].last_day
        )
        self._write("customers_elsewhere", table)
        self._tell("identities", truth)

    @staticmethod
    def _plan(looks_on: _Onlookers, block: State, month: Month) -> None:
        looks_on.contacts.plan(block, month, looks_on.arrears)
        looks_on.campaigns.plan(block, month)

    def write_month(
        self,
        position: int,
        block: State,
        ledger: RecordingLedger,
        record: MonthRecord,
        month: Month,
        *,
        is_written: bool = True,
    ) -> None:
        """Write a month of a block, which stands at its end, and plan the next one.

        Parameters
        ----------
        position
            Of the block.
        block, ledger, record, month
            What was lived. Of a month that is not written and has no truth only `FOLLOWED_PRODUCTS` are needed.
        is_written
            Whether its rows are wanted; its truth is told all the same.
        """
        settings, market = self._settings, self._simulation.market
        seed, parameters = settings.seed, settings.parameters
        looks_on = self._onlookers[position]
        postings, name = ledger.postings.collected(), month.name
        closed = ledger.closing_day
        schedule = payment_schedule_table(block, ledger, postings, month, looks_on.arrears)
        if is_written or looks_on.values is not None:
            contacts, effects = looks_on.contacts.carry_out(block, month, closed)
            offers, take_up = looks_on.campaigns.carry_out(block, month, closed)
        if is_written:
            self._ledger.add(block, postings)
            self._write("payment_schedule", schedule, name)
            self._write("loan_status", loan_status_table(block, month, seed, parameters, looks_on.arrears), name)
            self._write("relationship_assignments", assignments_table(block, ledger.assignments))
            self._write("contacts", contacts, name)
            self._write("campaign_contacts", offers)
            answers = survey_table(block, month, closed, market=market, seed=seed, parameters=parameters)
            self._write("survey_responses", answers)
        self._plan(looks_on, block, Month(month.number + 1))
        if looks_on.values is not None:
            self._tell("contact_effects", effects)
            self._tell("campaign_effects", take_up)
            self._tell("window_dressing", _window_dressing(block, month, record))
            looks_on.values.add(block, month, postings)
            if month.number == settings.all_months[-1].number:
                self._tell("values", looks_on.values.table(block, month))

    def finish_month(self, month: Month) -> None:
        """Write the month's sums over all blocks and close its files."""
        self._write("gl_balances", self._ledger.table(month))
        for table in MONTHLY:
            self._files.finish(table, month.name)


def _window_dressing(block: State, month: Month, record: MonthRecord) -> pa.Table:
    rows = record.window_dressing
    return pa.table(
        {
            "source_customer_id": customer_ids(block.people.number[rows]),
            "month": dates(np.full(len(rows), month.first_day)),
            "amount": decimals(block.dressing[rows]),
        }
    )
