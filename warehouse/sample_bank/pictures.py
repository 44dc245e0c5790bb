"""Pictures of the sample bank for its page: `python -m warehouse.sample_bank.pictures [--customers N] [--out FOLDER]`.

Each figure is drawn from the files of a bank and, where the page shows what was planted, from its truth.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from matplotlib import rc_context
from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure

from warehouse.sample_bank.dates import SPRING_FESTIVAL
from warehouse.sample_bank.generate import generate
from warehouse.sample_bank.parameters import DEFAULT_PARAMETERS
from warehouse.sample_bank.random_numbers import FloatArray

#: Where the page finds them.
DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "images"
TIERS = (("below 50,000", 0.0), ("50,000", 50e3), ("200,000", 200e3), ("500,000", 500e3), ("1 million", 1e6),
         ("3 million", 3e6))  # fmt: skip
_LOANS = "('CREDIT-CARD', 'MORTGAGE', 'CONSUMER-LOAN', 'BUSINESS-LOAN')"
_BLUE, _LIGHT, _RED = "#1f5a91", "#a9c4dd", "#b5402f"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
}
#: Drivers that are there or not; the others are shown by thirds.
_EVENTS = ("unanswered_complaint", "salary_moved", "manager_change")
_LEVELS = ("rate_gap", "wallet_outflow", "tenure", "products", "loyalty")


@contextmanager
def opened(bank: Path, truth: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the bank's tables, its truth and the AUM of each open customer at the end.

    Parameters
    ----------
    bank, truth
        Folders as `generate` writes them, in Parquet.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        for table in ("accounts", "balances", "transactions"):
            connection.execute(f"create view {table} as select * from '{bank}/{table}/*.parquet'")
        for table in ("hazards", "departures"):
            connection.execute(f"create view {table} as select * from '{truth}/{table}/*.parquet'")
        connection.execute(
            f"""
            create table aum as
            with latest as (
                select * from accounts
                qualify row_number() over (partition by account_id order by updated_at desc, closed_on is null) = 1
            ),
            flows as (select account_id, sum(amount) as amount from transactions group by account_id)
            select
                source_customer_id,
                coalesce(sum(coalesce(balance, 0) + coalesce(flows.amount, 0))
                    filter (product_code not in {_LOANS}), 0)::double as aum
            from latest left join balances using (account_id) left join flows using (account_id)
            group by source_customer_id
            having bool_or(closed_on is null)
            """
        )
        yield connection


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[FloatArray, ...]:
    found = connection.execute(query).fetchnumpy()
    return tuple(np.asarray(column) for column in found.values())


def tails(connection: duckdb.DuckDBPyConnection) -> Figure:
    """How many hold at least so much, and what share the richest hold."""
    (aum,) = _columns(connection, "select aum from aum where aum > 0 order by aum desc")
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    share = np.arange(1, len(aum) + 1) / len(aum)
    left.loglog(aum, share, color=_BLUE)
    left.set(xlabel="AUM, yuan", ylabel="share of customers with at least as much", xlim=(100, None))
    left.set_title("A heavy tail")
    held = np.append(0, np.cumsum(aum) / aum.sum())
    right.plot(np.linspace(0, 100, len(held)), 100 * held, color=_BLUE)
    fifth = 100 * held[len(aum) // 5]
    right.plot([20, 20, 0], [0, fifth, fifth], color=_RED, linewidth=1, linestyle=":")
    right.annotate(f"the first 20 % hold {fifth:.0f} %", (22, fifth - 8), color=_RED)
    right.set(xlabel="customers, richest first, %", ylabel="share of AUM, %", xlim=(0, 100), ylim=(0, 101))
    right.set_title("Concentration")
    return figure


def pyramid(connection: duckdb.DuckDBPyConnection) -> Figure:
    """Customers and AUM by tier."""
    (aum,) = _columns(connection, "select aum from aum order by aum")
    bounds = [bound for _, bound in TIERS]
    tier = np.searchsorted(bounds, aum, side="right") - 1
    customers = 100 * np.bincount(np.maximum(tier, 0), minlength=len(TIERS)) / len(aum)
    money = 100 * np.bincount(np.maximum(tier, 0), np.maximum(aum, 0), len(TIERS)) / np.maximum(aum, 0).sum()
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(TIERS))
    names = [name if place == 0 else f"from {name}" for place, (name, _) in enumerate(TIERS)]
    for axes, values, title in ((left, customers, "customers, %"), (right, money, "AUM, %")):
        axes.barh(places, values, color=_BLUE if axes is left else _LIGHT)
        for place, value in enumerate(values):
            axes.annotate(
                f"{value:.1f}",
                (value, place),
                xytext=(-4 if axes is left else 4, 0),
                textcoords="offset points",
                ha="right" if axes is left else "left",
                va="center",
            )
        axes.set_title(title)
        axes.set_xlim(0, 1.15 * values.max())
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
    left.set_yticks(places, names)
    left.invert_xaxis()
    left.spines["left"].set_visible(False)
    left.spines["right"].set_visible(True)
    left.yaxis.set_ticks_position("none")
    return figure


def seasons(connection: duckdb.DuckDBPyConnection) -> Figure:
    """Salaries and purchases by day: paydays, the thirteenth salary, Spring Festival."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    for place, (condition, title) in enumerate(
        (
            ("kind = 'salary'", "salaries received, million yuan a day"),
            ("kind in ('purchase', 'payment') and amount < 0", "purchases and payments, million yuan a week"),
        )
    ):
        unit = "day" if place == 0 else "week"
        day, amount = _columns(
            connection,
            f"""select date_trunc('{unit}', value_on)::date as day, sum(abs(amount))::double / 1e6
            from transactions where {condition} group by day order by day""",
        )
        if place == 0:
            axes[place].bar(day, amount, width=1.5, color=_BLUE)
        else:
            # The first and the last week may not be whole.
            axes[place].plot(day[1:-1], amount[1:-1], color=_BLUE)
        axes[place].set_title(title)
        axes[place].set_ylim(0, None)
        for festival in SPRING_FESTIVAL.values():
            if date.fromisoformat(str(day[0])[:10]) <= festival <= date.fromisoformat(str(day[-1])[:10]):
                axes[place].axvline(np.datetime64(festival), color=_RED, linewidth=1, linestyle=":")
                axes[place].annotate(
                    "Spring Festival", (np.datetime64(festival), 0.93), xycoords=("data", "axes fraction"), color=_RED
                )
    axes[1].xaxis.set_major_formatter(DateFormatter("%Y-%m"))  # type: ignore[no-untyped-call]
    return figure


def wallets(connection: duckdb.DuckDBPyConnection) -> Figure:
    """Share of what customers send out of the bank that goes to wallets and money funds, month by month."""
    month, wallet, fund = _columns(
        connection,
        """select date_trunc('month', value_on)::date as month,
            (100 * sum(amount) filter (counterparty_kind = 'wallet') / sum(amount))::double as wallet,
            (100 * sum(amount) filter (counterparty_kind = 'money_fund') / sum(amount))::double as fund
        from transactions
        where initiated_by = 'customer' and amount < 0 and counterparty_kind is distinct from 'own'
            and kind in ('purchase', 'payment', 'transfer', 'withdrawal')
        group by month order by month""",
    )
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes = figure.subplots()
    for values, below, name, color in (
        (wallet, np.zeros_like(wallet), "wallets", _LIGHT),
        (fund, wallet, "money funds", _BLUE),
    ):
        axes.bar(month, values, width=np.timedelta64(24, "D"), bottom=below, color=color, label=name)
    axes.set_title("share of money sent out of the bank, %")
    axes.legend(frameon=False, ncols=2, loc="upper left")
    axes.set_ylim(0, 1.25 * (wallet + fund).max())
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m"))  # type: ignore[no-untyped-call]
    return figure


def _third(driver: str) -> str:
    return f"ntile(3) over (order by {driver}, source_customer_id, month)"


def departures(connection: duckdb.DuckDBPyConnection) -> Figure:
    """Share of customers who decide to leave in a month, by what drives them."""
    connection.execute(
        """create or replace table risk as
        select hazards.*, departures.source_customer_id is not null as is_leaving
        from hazards left join departures
            on departures.source_customer_id = hazards.source_customer_id
            and departures.decided_in = hazards.month
            and departures.kind not in ('death', 'asleep_at_start')"""
    )
    rows: list[tuple[str, float, float]] = []
    for driver in (*_EVENTS, *_LEVELS):
        words = ("no", "yes") if driver in _EVENTS else ("low", "middle", "high")
        level = f"({driver} > 0)::int + 1" if driver in _EVENTS else _third(driver)
        coefficient = getattr(DEFAULT_PARAMETERS.hazard, driver)
        found = connection.execute(
            f"""with average as (select avg({driver}) as driver from risk),
            alike as (
                select
                    is_leaving,
                    {level} as level,
                    ln(hazard / (1 - hazard)) - {coefficient} * ({driver} - average.driver) as others
                from risk cross join average
            )
            select level, 100 * avg(is_leaving::int), sum(is_leaving::int) / sum(1 / (1 + exp(-others)))
            from alike group by level order by level"""
        ).fetchall()
        rows += [(f"{driver.replace('_', ' ')}: {words[level - 1]}", rate, ratio) for level, rate, ratio in found]
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))
    colors = [_BLUE if name.endswith(("yes", "high")) else _LIGHT for name, _, _ in rows]
    for axes, values, title in (
        (left, [row[1] for row in rows], "decide to leave, % a month"),
        (right, [row[2] for row in rows], "times what other drivers explain"),
    ):
        bars = axes.barh(places, values, color=colors)
        axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.set_xlim(0, 1.15 * max(values))
        axes.set_title(title)
    left.set_yticks(places, [row[0] for row in rows])
    left.invert_yaxis()
    return figure


PICTURES: dict[str, Callable[[duckdb.DuckDBPyConnection], Figure]] = {
    "tails": tails,
    "pyramid": pyramid,
    "seasons": seasons,
    "wallets": wallets,
    "departures": departures,
}


def draw(bank: Path, truth: Path, out: Path) -> list[Path]:
    """Draw all pictures of a bank: the same files give the same bytes.

    Parameters
    ----------
    bank, truth
        Folders as `generate` writes them, in Parquet.
    out
        Receives `sample_bank_<picture>.png`.

    Returns
    -------
    list of Path
        What was written.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with opened(bank, truth) as connection, rc_context(_STYLE):
        for name, picture in PICTURES.items():
            path = out / f"sample_bank_{name}.png"
            picture(connection).savefig(path, dpi=90, metadata={"Software": None})
            written.append(path)
    return written


def main() -> None:
    """Generate a bank and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--out", type=Path, default=DOCUMENTED)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        generate(folder / "bank", customers=arguments.customers, months=arguments.months, truth_dir=folder / "truth")
        for path in draw(folder / "bank", folder / "truth", arguments.out):
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
