"""A bank in blocks of customers, lived through month by month: what the tables, the truth and the futures share."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

from warehouse.errors import UserError
from warehouse.sample_bank.dates import FIRST_YEAR, LAST_YEAR, Month, day_number, month_number
from warehouse.sample_bank.employees import Staff, staff_of
from warehouse.sample_bank.ledger import Ledger, RecordingLedger
from warehouse.sample_bank.life import MonthRecord, live_through
from warehouse.sample_bank.market_rates import Market
from warehouse.sample_bank.parameters import DEFAULT_PARAMETERS, Parameters
from warehouse.sample_bank.population import draw_population, life_numbers
from warehouse.sample_bank.relationships import open_relationships
from warehouse.sample_bank.state import State, opening_state

#: Customers that are stepped together: large enough for numpy, small enough that a month's rows fit in memory.
BLOCK_CUSTOMERS = 32_768
MOST_CUSTOMERS = 50_000_000


@dataclass(frozen=True)
class BankSettings:
    """What a sample bank is generated from; see `generate` for the meaning of each."""

    customers: int = 20_000
    months: int = 24
    start: date = date(2024, 1, 1)
    seed: int = 1
    part: tuple[int, int] | None = None
    parameters: Parameters = DEFAULT_PARAMETERS

    def check(self) -> None:
        """Refuse what cannot be generated.

        Raises
        ------
        UserError
            A size, date, seed or slice outside what is valid.
        """
        horizon = self.parameters.horizon_months
        _check_number("customers", self.customers, 1, MOST_CUSTOMERS)
        _check_number("months", self.months, 1, horizon)
        _check_number("seed", self.seed, 0, 2**63 - 1)
        if not isinstance(self.start, date):
            raise UserError("the sample bank's start is no date", where="start", found=repr(self.start), valid="a date")
        if self.start.day != 1 or not FIRST_YEAR + 1 <= self.start.year <= LAST_YEAR - 1:
            raise UserError(
                "the sample bank cannot start on this day",
                where="start",
                found=self.start.isoformat(),
                valid=f"the first of a month from {FIRST_YEAR + 1}-01-01 to {LAST_YEAR - 1}-12-01",
            )
        last = Month(month_number(self.start) + self.months)
        if last.year > LAST_YEAR:
            raise UserError(
                "the sample bank runs beyond its calendar of holidays",
                where="start, months",
                found=f"{self.months} months from {self.start.isoformat()}",
                valid=f"an end before {LAST_YEAR}-12-01",
            )
        if self.part is not None:
            first, last_position = self.part
            if not (0 <= first < last_position <= self.customers):
                raise UserError(
                    "the slice of customers is empty or outside the bank",
                    where="slice",
                    found=f"[{first}, {last_position})",
                    valid=f"0 <= first < last <= {self.customers} customers",
                )

    @property
    def first_month(self) -> Month:
        """Month in which the window opens."""
        return Month(month_number(self.start))

    @property
    def all_months(self) -> list[Month]:
        """Months of the window."""
        return [Month(self.first_month.number + offset) for offset in range(self.months)]


def _check_number(name: str, value: object, smallest: int, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
        raise UserError(
            f"the sample bank's {name} cannot be this",
            where=name,
            found=repr(value),
            valid=f"a whole number from {smallest:,} to {largest:,}",
        )


class Simulation:
    """The blocks of a bank, at the end of the month they have lived through last.

    Parameters
    ----------
    settings
        What the bank is generated from.

    Raises
    ------
    UserError
        When the settings are not valid.
    """

    def __init__(self, settings: BankSettings) -> None:
        settings.check()
        self.settings = settings
        self.market = Market(settings.seed, settings.parameters)
        first, last = settings.part or (0, settings.customers)
        start = settings.first_month.number
        numbers = life_numbers(
            first, last, start, start + settings.months, seed=settings.seed, parameters=settings.parameters
        )
        self.blocks = [
            opening_state(
                draw_population(
                    numbers[position : position + BLOCK_CUSTOMERS], start, settings.seed, settings.parameters
                ),
                start,
                settings.seed,
                self.market,
            )
            for position in range(0, len(numbers), BLOCK_CUSTOMERS)
        ]
        # The staff is that of the whole bank, whichever slice of the customers is lived.
        whole = settings.customers
        largest = life_numbers(
            whole - 1, whole, start, start + settings.months, seed=settings.seed, parameters=settings.parameters
        )
        self.staff = staff_of(settings.seed, int(largest[0]), settings.parameters)
        for block in self.blocks:
            open_relationships(
                block, settings.first_month.first_day - 1, self.staff, settings.seed, settings.parameters
            )

    def step(self, block: State, month: Month, ledger: Ledger) -> MonthRecord:
        """Live one block through a month."""
        settings = self.settings
        return live_through(
            block,
            month,
            seed=settings.seed,
            market=self.market,
            staff=self.staff,
            parameters=settings.parameters,
            ledger=ledger,
        )

    def live(
        self, month: Month, products: Collection[int] | None = None
    ) -> Iterator[tuple[State, RecordingLedger, MonthRecord]]:
        """Live all blocks through a month, one after the other, with everything recorded.

        Parameters
        ----------
        month
            The month.
        products
            Those whose postings are recorded; by default all are.
        """
        for block in self.blocks:
            ledger = RecordingLedger(block, month, self.settings.seed, products)
            record = self.step(block, month, ledger)
            yield block, ledger, record

    def skip(self, month: Month) -> None:
        """Live all blocks through a month without keeping rows."""
        for block in self.blocks:
            self.step(block, month, Ledger(block, month))


@dataclass(frozen=True)
class BankAt:
    """A bank's customers as they truly are at the end of a month."""

    settings: BankSettings
    month: Month
    market: Market
    staff: Staff
    blocks: list[State]


def state_at(as_of: date, settings: BankSettings) -> BankAt:
    """True state of a bank's customers at the end of a month: for tests and benchmarks only.

    Parameters
    ----------
    as_of
        Last day of a month of the window, or the eve of the window.
    settings
        What the bank is generated from.

    Raises
    ------
    UserError
        When the settings are not valid or `as_of` is not the end of one of the bank's months.
    """
    settings.check()
    following = month_number(date.fromordinal(as_of.toordinal() + 1))
    first, last = settings.first_month.number, settings.first_month.number + settings.months
    if Month(following).first_day != day_number(as_of) + 1 or not first <= following <= last:
        raise UserError(
            "the bank has no state at the end of this day",
            where="as_of",
            found=as_of.isoformat(),
            valid=f"the last day of a month, at most {settings.months} months after {settings.start.isoformat()}",
        )
    simulation = Simulation(settings)
    for number in range(first, following):
        simulation.skip(Month(number))
    return BankAt(settings, Month(following - 1), simulation.market, simulation.staff, simulation.blocks)
