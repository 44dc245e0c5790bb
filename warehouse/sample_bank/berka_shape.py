"""A small generated bank in the shape of the PKDD'99 ("Berka") files, for a first run without any data.

Its eight files have Berka's names, columns and quirks: `;` and CR LF, dates `YYMMDD`, month + 50 in the birth numbers
of women, type `VYBER` beside `VYDAJ`, blank `k_symbol` as `""` and `" "`, `?` for an unknown figure, no order inside
a day. The people and sums are made up; the shipped bank `sample` reads it like Berka. What the mapping makes of it does
not belong here.
"""

from __future__ import annotations

import bisect
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from warehouse.errors import UserError

#: Goes up when other bytes come out of the same arguments.
VERSION = 1

Integers = npt.NDArray[np.int64]
Row = Sequence[str | int]

_CLIENTS_PER_ACCOUNT = 5369 / 4500
_BANKS = ("AB", "CD", "EF", "GH", "IJ", "KL", "MN", "OP", "QR", "ST", "UV", "WX", "YZ")
_REGIONS = (
    ("Prague", 1),
    ("central Bohemia", 12),
    ("south Bohemia", 8),
    ("west Bohemia", 10),
    ("north Bohemia", 10),
    ("east Bohemia", 11),
    ("south Moravia", 14),
    ("north Moravia", 11),
)
#: Kinds of transaction: type, operation, k_symbol, as in Berka.
_KINDS = (
    ("PRIJEM", "VKLAD", ""),
    ("PRIJEM", "PREVOD Z UCTU", ""),
    ("PRIJEM", "PREVOD Z UCTU", "DUCHOD"),
    ("VYDAJ", "PREVOD NA UCET", "SIPO"),
    ("VYDAJ", "PREVOD NA UCET", "POJISTNE"),
    ("VYDAJ", "PREVOD NA UCET", ""),
    ("VYDAJ", "PREVOD NA UCET", " "),
    ("VYDAJ", "PREVOD NA UCET", "UVER"),
    ("VYDAJ", "VYBER", ""),
    ("VYBER", "VYBER", ""),
    ("VYDAJ", "VYBER KARTOU", ""),
    ("PRIJEM", "", "UROK"),
    ("VYDAJ", "VYBER", "SLUZBY"),
    ("VYDAJ", "VYBER", "SANKC. UROK"),
)
_DEPOSIT, _SALARY, _PENSION = 0, 1, 2
_ORDER_KINDS = {"SIPO": 3, "POJISTNE": 4, "LEASING": 5, " ": 6, "UVER": 7}
_CASH, _CASH_OF_OLD_KIND, _CARD_CASH, _INTEREST, _FEE, _PENALTY = 8, 9, 10, 11, 12, 13
_SALARIED, _PENSIONER, _CASH_PAID = 0, 1, 2
#: Berka numbers interest apart, from here.
_FIRST_INTEREST_ID = 3_530_000
_HEADERS = {
    "district": [f"A{number}" for number in range(1, 17)],
    "client": ["client_id", "birth_number", "district_id"],
    "account": ["account_id", "district_id", "frequency", "date"],
    "disp": ["disp_id", "client_id", "account_id", "type"],
    "order": ["order_id", "account_id", "bank_to", "account_to", "amount", "k_symbol"],
    "loan": ["loan_id", "account_id", "date", "amount", "duration", "payments", "status"],
    "card": ["card_id", "disp_id", "type", "issued"],
    "trans": [
        *("trans_id", "account_id", "date", "type", "operation", "amount", "balance", "k_symbol", "bank", "account"),
    ],
}


def write_berka_shaped_bank(
    out_dir: Path, customers: int = 300, seed: int = 1999, start: date = date(1993, 1, 1), months: int = 24
) -> Path:
    """Write the eight files of a generated bank.

    The same arguments give the same bytes. Accounts open over the whole time; amounts cumulate to the stated
    balance exactly; every key refers to something.

    Parameters
    ----------
    out_dir
        Folder to make; it must not exist yet. It appears with all its files or not at all.
    customers
        Number of clients, at least 10. About one in six only disposes of another's account.
    seed
        Of the Philox generator.
    start
        First day; the first of a month.
    months
        Length of the history, at least 3.

    Returns
    -------
    pathlib.Path
        `out_dir`.

    Raises
    ------
    UserError
        If an argument is out of range or the folder exists.
    """
    if customers < 10 or months < 3 or start.day != 1:
        raise UserError(
            "the generated bank cannot be made that way",
            found=f"customers={customers}, months={months}, start={start}",
            valid="at least 10 customers, at least 3 months, a start on the first of a month",
        )
    files = _Bank(customers, seed, start, months).files()

    def write(folder: Path) -> None:
        for name, lines in files.items():
            _write_file(folder, name, lines)

    _write_folder(out_dir, write)
    return out_dir


def ensure_generated(folder: Path, customers: int) -> Path:
    """Data folder of the generated bank of that size, written the first time it is asked for."""
    data = folder / f"customers-{customers}-v{VERSION}"
    return data if data.is_dir() else write_berka_shaped_bank(data, customers)


def split_into_deliveries(data_dir: Path, out_dir: Path, dates: Sequence[date]) -> Path:
    """Cut the files of a bank in Berka's shape into an initial load and dated deliveries, as banks really deliver.

    Some transactions arrive one delivery late, some first with an empty `k_symbol` and corrected in the next
    delivery, some are delivered twice under another number and deleted in the next. Once all deliveries are there,
    the latest version of every row is that of `data_dir`, and nothing else is left.

    Parameters
    ----------
    data_dir
        The eight files.
    out_dir
        Folder to make; it must not exist yet.
    dates
        Ascending. The initial load holds what is dated up to the first; each later date has a folder `YYYY/MM/DD`
        with what came since. What is dated behind the last one is left out.

    Returns
    -------
    pathlib.Path
        `out_dir`.
    """
    tables = {name: _read_file(data_dir / f"{name}.asc") for name in _HEADERS}
    opened = {row[0]: _parse_date(row[3]) for row in tables["account"]}
    days_of_client: dict[str, date] = {}
    for _, client, account, _ in tables["disp"]:
        days_of_client[client] = min(opened[account], days_of_client.get(client, date.max))
    account_of_disp = {row[0]: row[2] for row in tables["disp"]}
    dated: dict[str, Callable[[list[str]], date]] = {
        "district": lambda row: date.min,  # noqa: ARG005
        "client": lambda row: days_of_client.get(row[0], date.min),
        "account": lambda row: _parse_date(row[3]),
        "disp": lambda row: opened[row[2]],
        "order": lambda row: opened[row[1]],
        "loan": lambda row: _parse_date(row[2]),
        "card": lambda row: max(_parse_date(row[3]), opened[account_of_disp[row[1]]]),
        "trans": lambda row: _parse_date(row[2]),
    }
    days = list(dates)
    upserts: dict[tuple[str, int], list[list[str]]] = {}
    deletes: dict[tuple[str, int], list[list[str]]] = {}
    highest = max(int(row[0]) for row in tables["trans"])
    for name, rows in tables.items():
        for row in rows:
            delivery = bisect.bisect_left(days, dated[name](row))
            if delivery >= len(days):
                continue
            luck = int(row[0]) % 97 if name == "trans" and delivery + 1 < len(days) else -1
            if luck == 1:
                delivery += 1
            elif luck == 2 and row[7].strip():
                upserts.setdefault((name, delivery), []).append([*row[:7], "", *row[8:]])
                delivery += 1
            elif luck == 3:
                twin = [str(highest + int(row[0])), *row[1:]]
                upserts.setdefault((name, delivery), []).append(twin)
                deletes.setdefault((name, delivery + 1), []).append(twin)
            upserts.setdefault((name, delivery), []).append(row)

    def write(folder: Path) -> None:
        for position, day in enumerate(days):
            below = folder if position == 0 else folder / f"{day:%Y/%m/%d}"
            for name in _HEADERS:
                for rows, place in ((upserts, below), (deletes, below / "deletes")):
                    found = rows.get((name, position), [])
                    # The core system reports every day, also when nothing happened; so does each file at first.
                    if found or (rows is upserts and (position == 0 or name == "trans")):
                        place.mkdir(parents=True, exist_ok=True)
                        _write_file(place, name, map(_line, found))

    _write_folder(out_dir, write)
    return out_dir


@dataclass
class _Events:
    """Transactions as columns: account (position), day (since the start), kind, amount (signed, hundredths)."""

    account: list[Integers] = field(default_factory=list)
    day: list[Integers] = field(default_factory=list)
    kind: list[Integers] = field(default_factory=list)
    amount: list[Integers] = field(default_factory=list)
    partner: list[Integers] = field(default_factory=list)

    def add(self, account: Integers, day: Integers, kind: Integers | int, amount: Integers, partner: Integers) -> None:
        """Append transactions; those of no amount did not happen."""
        happened = amount != 0
        self.account.append(account[happened])
        self.day.append(day[happened])
        self.kind.append(np.broadcast_to(np.asarray(kind, dtype=np.int64), amount.shape)[happened])
        self.amount.append(amount[happened])
        self.partner.append(partner[happened])


class _Bank:
    """The generated bank. Everything is drawn from uniform numbers, whose stream NumPy keeps stable."""

    def __init__(self, customers: int, seed: int, start: date, months: int) -> None:
        self._uniform = np.random.Generator(np.random.Philox(seed))
        self._start = start
        first = np.datetime64(start, "M")
        edges = (first + np.arange(months + 1)).astype("datetime64[D]")
        #: First day of each month, counted from the start, and the day behind the last month.
        self._edges = (edges - edges[0]).astype(np.int64)
        self._months = months
        self._accounts = max(1, round(customers / _CLIENTS_PER_ACCOUNT))
        self._clients = customers
        self._draw_people()
        self._draw_accounts()
        self._draw_products()

    def files(self) -> dict[str, list[str]]:
        """Lines of each file, without the header."""
        tables: dict[str, list[Row]] = {
            "district": self._district_rows(),
            "client": [
                (position + 1, self._birth_number(position), int(self._home[position]))
                for position in range(self._clients)
            ],
            "account": sorted(
                (
                    (
                        int(self._account_id[a]),
                        int(self._branch[a]),
                        self._frequency(a),
                        _Raw(self._date(self._opened[a])),
                    )
                    for a in range(self._accounts)
                ),
                key=lambda row: (str(row[3]), row[0]),
            ),
            "disp": [
                (number + 1, client + 1, int(self._account_id[account]), kind)
                for number, (client, account, kind) in enumerate(self._holders())
            ],
            "order": self._order_rows(),
            "loan": self._loan_rows(),
            "card": self._card_rows(),
        }
        return {name: [_line(row) for row in rows] for name, rows in tables.items()} | {
            "trans": self._transaction_lines()
        }

    def _chance(self, share: float | npt.NDArray[np.float64], size: int) -> npt.NDArray[np.bool_]:
        return self._uniform.random(size) < share

    def _whole(self, low: int | Integers, high: int | Integers, size: int) -> Integers:
        """Whole numbers from `low` to `high`, both possible."""
        span = np.asarray(high) - np.asarray(low) + 1
        drawn: Integers = (np.asarray(low) + np.floor(self._uniform.random(size) * span)).astype(np.int64)
        return drawn

    def _draw_people(self) -> None:
        self._home = self._whole(1, 77, self._clients)
        self._is_woman = self._chance(0.5, self._clients)
        ages = self._whole(17, 76, self._clients)
        self._born = self._start.year - ages
        self._birthday = self._whole(0, 364, self._clients)
        # The first clients own the accounts in turn; the others dispose of one each.
        disposers = self._clients - self._accounts
        self._disposed = np.sort(np.argsort(self._uniform.random(self._accounts), kind="stable")[:disposers])
        self._age = ages[: self._accounts]

    def _draw_accounts(self) -> None:
        count = self._accounts
        self._account_id = np.argsort(self._uniform.random(count), kind="stable").astype(np.int64) + 1
        self._branch = np.where(self._chance(0.85, count), self._home[:count], self._whole(1, 77, count))
        # A third of the accounts stands after the first month, the others come until a fifth of the time is left.
        last = int(self._edges[max(1, self._months * 4 // 5)]) - 1
        early = self._whole(0, int(self._edges[1]) - 1, count)
        self._opened = np.where(self._chance(1 / 3, count), early, self._whole(0, last, count))
        self._opened[0] = 0
        self._billing = self._uniform.random(count)
        is_pensioner = self._age >= 60
        self._income_kind = np.where(
            is_pensioner, _PENSIONER, np.where(self._chance(0.55, count), _SALARIED, _CASH_PAID)
        )
        spread = np.exp((self._uniform.random(count) + self._uniform.random(count) - 1) * 1.1)
        level = np.where(is_pensioner, 6_000, np.where(self._age < 25, 9_000, 16_000))
        self._income = (np.round(level * spread) * 100).astype(np.int64)
        self._payday = self._whole(3, 12, count)
        self._employer = self._whole(1_000_000, 99_999_999, count)
        # From this month on nothing comes in any more: the customer has left without closing the account.
        leaves = self._chance(0.08, count)
        self._left = np.where(leaves, self._whole(self._months // 3, self._months, count), self._months + 1)

    def _draw_products(self) -> None:
        count, days = self._accounts, int(self._edges[-1])
        income = self._income
        has_order = {"SIPO": self._chance(0.75, count)}
        has_order[" "] = has_order["SIPO"] & self._chance(0.36, count)
        has_order["LEASING"] = (self._age < 60) & self._chance(0.1, count)
        has_order["POJISTNE"] = self._chance(np.where(has_order["LEASING"], 0.45, 0.09), count)
        granted = self._opened + self._whole(60, 260, count)
        has_loan = (self._age < 65) & (granted < days - 31) & (self._left > self._months) & self._chance(0.2, count)
        has_order["UVER"] = has_loan | self._chance(0.008, count)
        self._granted = np.where(has_loan, granted, -1)
        self._duration = 12 * self._whole(1, 5, count)
        self._instalment = np.maximum(income // 100 * self._whole(12, 32, count) // 100, 300) * 100
        self._is_bad = self._chance(0.13, count)
        share = {"SIPO": (18, 34), "POJISTNE": (2, 8), "LEASING": (8, 20), " ": (2, 14)}
        self._orders: list[tuple[Integers, str, Integers, Integers, Integers]] = []
        for symbol, holders in has_order.items():
            chosen = np.flatnonzero(holders)
            low, high = share.get(symbol, (4, 12))
            amount = income[chosen] // 100 * self._whole(low, high, len(chosen)) // 10 * 10 + 10_000
            if symbol == "UVER":
                amount = np.where(self._granted[chosen] >= 0, self._instalment[chosen], amount)
            day = self._whole(5, 14, len(chosen))
            self._orders.append((chosen, symbol, amount, day, self._whole(1_000_000, 99_999_999, len(chosen))))
        issued = self._opened + self._whole(20, 400, count)
        has_card = (issued < days) & (self._left > self._months)
        has_card &= self._chance(np.where(income > 2_000_000, 0.6, 0.3), count)
        self._issued = np.where(has_card, issued, -1)
        gold = (income > 2_200_000) & self._chance(0.5, count)
        self._card_type = np.where(self._age < 25, "junior", np.where(gold, "gold", "classic"))

    def _transactions(self) -> _Events:
        """Month by month, since what can be withdrawn depends on what is there."""
        events = _Events()
        balance = np.zeros(self._accounts, dtype=np.int64)
        everyone = np.arange(self._accounts)
        for month in range(self._months):
            first, last = int(self._edges[month]), int(self._edges[month + 1]) - 1
            is_open = self._opened <= last
            flow = np.zeros(self._accounts, dtype=np.int64)

            def book(
                who: Integers, day: Integers, kind: Integers | int, amount: Integers, partner: Integers | None = None
            ) -> None:
                # Bound by the loop on purpose: each month books into its own flow and its own opening days.
                happens = (day >= self._opened[who]) & is_open[who]  # noqa: B023
                amount = np.where(happens, amount, 0)
                partner = np.full(len(who), -1) if partner is None else partner
                events.add(who, day, kind, amount, partner)
                np.add.at(flow, who, amount)  # noqa: B023

            is_new = is_open & (self._opened >= first)
            book(everyone, self._opened, _DEPOSIT, np.where(is_new, self._whole(2, 12, len(everyone)) * 10_000, 0))
            stays = self._left > month
            kind = np.where(self._income_kind == _PENSIONER, _PENSION, _SALARY)
            by_transfer = stays & (self._income_kind != _CASH_PAID)
            book(everyone, first + self._payday, kind, np.where(by_transfer, self._income, 0), self._employer)
            for _ in range(2):
                share = self._whole(20, 80, self._accounts)
                amount = self._income // 10_000 * share // 100 * 10_000
                day = first + self._whole(1, 20, self._accounts)
                book(everyone, day, _DEPOSIT, np.where(stays & (self._income_kind == _CASH_PAID), amount, 0))
            for chosen, symbol, amount, day, partner in self._orders:
                due = self._opened[chosen] < first
                if symbol == "UVER":
                    granted = self._granted[chosen]
                    ends = granted + self._duration[chosen] * 31
                    misses = self._is_bad[chosen] & self._chance(0.35, len(chosen))
                    due &= ((granted < first) & (first < ends) & ~misses) | (granted < 0)
                due &= stays[chosen]
                book(chosen, first + day, _ORDER_KINDS[symbol], np.where(due, -amount, 0), partner)
            self._withdraw(book, balance + flow, first, last)
            interest = np.maximum(balance, 0) // 300 // 10 * 10
            book(everyone, np.full(self._accounts, last), _INTEREST, interest)
            fee = np.where(self._billing > 0.92, 3_000, 1_460)
            book(everyone, np.full(self._accounts, last), _FEE, np.where(is_new, 0, -fee))
            penalty = np.where(balance + flow < 0, -((-(balance + flow)) // 100 // 10 * 10 + 10), 0)
            book(everyone, np.full(self._accounts, last), _PENALTY, penalty)
            balance += flow
        return events

    def _withdraw(
        self, book: Callable[[Integers, Integers, Integers, Integers], None], available: Integers, first: int, last: int
    ) -> None:
        """Up to four withdrawals of what is there, in hundreds of crowns, some with the card, some of the old type."""
        count = self._accounts
        everyone = np.arange(count)
        # Who pays loans badly overdraws as well; the others keep a thousand crowns.
        limit = np.where(self._is_bad & (self._granted >= 0), 600_000, -100_000)
        rest = np.maximum(available + limit, 0)
        for _ in range(4):
            amount = np.where(self._chance(0.6, count), rest * self._whole(10, 45, count) // 100, 0)
            amount = amount // 10_000 * 10_000
            rest = rest - amount
            day = first + self._whole(14, last - first, count)
            with_card = (self._issued >= 0) & (self._issued <= day) & self._chance(0.3, count)
            kind = np.where(with_card, _CARD_CASH, np.where(self._chance(0.05, count), _CASH_OF_OLD_KIND, _CASH))
            book(everyone, day, kind, -amount)

    def _transaction_lines(self) -> list[str]:
        events = self._transactions()
        account, day, kind, amount, partner = (
            np.concatenate(column)
            for column in (events.account, events.day, events.kind, events.amount, events.partner)
        )
        # Booking order inside a day: as drawn, interest and fees last; numpy's lexsort is stable.
        booked = np.lexsort((np.arange(len(day)), day, account))
        account, day, kind, amount, partner = (c[booked] for c in (account, day, kind, amount, partner))
        running = np.cumsum(amount)
        begins = np.flatnonzero(np.diff(account, prepend=-1))
        before = np.zeros(self._accounts, dtype=np.int64)
        before[account[begins]] = running[begins] - amount[begins]
        balance = running - before[account]
        is_interest = kind == _INTEREST
        number = np.where(is_interest, np.cumsum(is_interest), np.cumsum(~is_interest))
        number += np.where(is_interest, max(_FIRST_INTEREST_ID, int((~is_interest).sum())), 0)
        # The file is by day, and without order inside a day.
        order = np.lexsort((self._uniform.random(len(day)), day))
        days = [self._date(position) for position in range(int(self._edges[-1]))]
        types = [f'"{type_}";"{operation}"' for type_, operation, _ in _KINDS]
        symbols = [f'"{symbol}"' for _, _, symbol in _KINDS]
        columns = (number, self._account_id[account], day, kind, amount, balance, partner)
        # Written out here: these are nearly all rows of the bank, and a general way takes ten times as long.
        return [
            f"{n};{a};{days[d]};{types[k]};{_money(abs(x))};{_money(b)};{symbols[k]};"
            + (";" if p < 0 else f'"{_BANKS[p % len(_BANKS)]}";"{p}"')
            for n, a, d, k, x, b, p in zip(*(column[order].tolist() for column in columns), strict=True)
        ]

    def _district_rows(self) -> list[Row]:
        rows: list[Row] = []
        for region, count in _REGIONS:
            for position in range(count):
                number = len(rows) + 1
                draw = self._whole(0, 999_999, 13).tolist()
                name = region if count == 1 else f"{region} {position + 1}"
                unknown = number == 69
                rows.append(
                    (
                        number,
                        name,
                        region,
                        30_000 + draw[0] % 350_000,
                        draw[1] % 150,
                        draw[2] % 70,
                        draw[3] % 20,
                        1 + draw[4] % 5,
                        1 + draw[5] % 10,
                        _Raw(f"{35 + draw[6] % 65}.{draw[6] % 10}"),
                        8_000 + draw[7] % 4_500,
                        _Raw("?" if unknown else f"{draw[8] % 8}.{draw[8] % 90 + 10}"),
                        _Raw(f"{draw[9] % 9}.{draw[9] % 90 + 10}"),
                        80 + draw[10] % 90,
                        _Raw("?" if unknown else str(800 + draw[11] % 9_000)),
                        800 + draw[12] % 9_000,
                    )
                )
        return rows

    def _holders(self) -> list[tuple[int, int, str]]:
        disposer = {int(account): self._accounts + n for n, account in enumerate(self._disposed)}
        holders = []
        for account in range(self._accounts):
            holders.append((account, account, "OWNER"))
            if account in disposer:
                holders.append((disposer[account], account, "DISPONENT"))
        return holders

    def _order_rows(self) -> list[Row]:
        found = sorted(
            (int(self._account_id[a]), symbol, int(x), int(p))
            for chosen, symbol, amount, _, partner in self._orders
            for a, x, p in zip(chosen.tolist(), amount.tolist(), partner.tolist(), strict=True)
        )
        return [
            (29_401 + n, account, _BANKS[partner % len(_BANKS)], str(partner), _Raw(_money(amount)), symbol)
            for n, (account, symbol, amount, partner) in enumerate(found)
        ]

    def _loan_rows(self) -> list[Row]:
        rows: list[Row] = []
        end = int(self._edges[-1])
        for a in np.lexsort((self._account_id, self._granted)).tolist():
            if self._granted[a] < 0:
                continue
            duration, payment = int(self._duration[a]), int(self._instalment[a]) // 100
            is_over = int(self._granted[a]) + duration * 31 <= end
            status = ("B" if self._is_bad[a] else "A") if is_over else ("D" if self._is_bad[a] else "C")
            granted = _Raw(self._date(self._granted[a]))
            account = int(self._account_id[a])
            rows.append(
                (4_960 + account, account, granted, payment * duration, duration, _Raw(f"{payment}.00"), status)
            )
        return rows

    def _card_rows(self) -> list[Row]:
        disp = {account: n + 1 for n, (_, account, kind) in enumerate(self._holders()) if kind == "OWNER"}
        chosen = [a for a in np.lexsort((self._account_id, self._issued)).tolist() if self._issued[a] >= 0]
        return [
            (n + 1, disp[a], str(self._card_type[a]), _Raw(f"{self._date(self._issued[a])} 00:00:00"))
            for n, a in enumerate(chosen)
        ]

    def _frequency(self, account: int) -> str:
        if self._billing[account] > 0.98:
            return "POPLATEK PO OBRATU"
        return "POPLATEK TYDNE" if self._billing[account] > 0.92 else "POPLATEK MESICNE"

    def _birth_number(self, client: int) -> str:
        born = date(int(self._born[client]), 1, 1) + timedelta(days=int(self._birthday[client]))
        return f"{born:%y}{born.month + (50 if self._is_woman[client] else 0):02}{born:%d}"

    def _date(self, day: int | np.int64) -> str:
        return f"{self._start + timedelta(days=int(day)):%y%m%d}"


class _Raw(str):
    """Text that stands in the file without quotes."""

    __slots__ = ()


def _money(hundredths: int) -> str:
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02}"


def _line(row: Row) -> str:
    return ";".join(f'"{v}"' if isinstance(v, str) and not isinstance(v, _Raw) else str(v) for v in row)


def _write_file(folder: Path, name: str, lines: Iterable[str]) -> None:
    # Alone among the files, the one of the districts has a header without quotes.
    header = ";".join(_HEADERS[name]) if name == "district" else _line(_HEADERS[name])
    (folder / f"{name}.asc").write_bytes("".join(f"{line}\r\n" for line in [header, *lines]).encode("ascii"))


def _read_file(path: Path) -> list[list[str]]:
    """Rows of a file, each field with its quotes as text of its own kind."""
    # No field of these files holds a delimiter.
    lines = path.read_text(encoding="ascii").splitlines()[1:]
    return [[field[1:-1] if field.startswith('"') else _Raw(field) for field in line.split(";")] for line in lines]


def _parse_date(text: str) -> date:
    return datetime.strptime(text[:6], "%y%m%d").date()


def _write_folder(out_dir: Path, write: Callable[[Path], None]) -> None:
    """Let a folder appear with all its files or not at all."""
    if out_dir.exists():
        raise UserError(
            "the folder to write into exists already",
            where=str(out_dir),
            valid="a folder that is not there yet",
            next_step="name another one, or remove it",
        )
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    except OSError as error:
        raise UserError("the folder cannot be made", where=str(out_dir), found=error.strerror or str(error)) from error
    try:
        temporary.chmod(0o755)
        write(temporary)
        temporary.replace(out_dir)
    except OSError as error:
        raise UserError(
            "the folder cannot be written", where=str(out_dir), found=error.strerror or str(error)
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
