"""The truth behind the tables, in a folder of its own: only tests and benchmarks may read it.

Files: `groups` (who is who), `wants` (products wanted and when), `affinities` (lift of every ordered pair of products
in the generating model), `hazards` (monthly probability of deciding to leave, with its drivers), `departures` (who
left, how and when; deaths too), `confounders` (what looks like leaving and is not), `parameters.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.affinities import LINKS, cell_weights, lift, wanted_shares
from warehouse.sample_bank.columns import booleans, dates, strings
from warehouse.sample_bank.customers import customer_ids
from warehouse.sample_bank.dates import Month
from warehouse.sample_bank.files import TableFiles
from warehouse.sample_bank.further_tables import planted
from warehouse.sample_bank.leaving import DRIVERS
from warehouse.sample_bank.life import MonthRecord
from warehouse.sample_bank.parameters import (
    AFFINITIES,
    AGE_BAND_NAMES,
    AGE_FACTORS,
    CURRENT,
    GROUP_NAMES,
    GROUPS,
    LEAVING_KINDS,
    PRODUCT_CODES,
    PRODUCT_COUNT,
    PRODUCTS,
    SHOWN_AS_NULL,
)
from warehouse.sample_bank.population import HELD_AT_START
from warehouse.sample_bank.random_numbers import IntegerArray
from warehouse.sample_bank.simulation import Simulation
from warehouse.sample_bank.state import CLOSED, State

_DEPARTURE_KINDS = (*LEAVING_KINDS, "death", "asleep_at_start")
_CONFOUNDERS = ("large_purchase", "window_dressing", "rebooked_at_once", "rebooked_parked", "rebooked_elsewhere")


def affinities_table() -> pa.Table:
    """Lift of every ordered pair of products in the generating model.

    `population_lift` is what a count over all customers tends to; the others compare with independence inside every
    group, age band or both. `planted` says which pairs are links of the forest (`link`, `ordered_link`), which are
    shown as null within groups (`null`), and which is Simpson's (`reversed`). The opposite order of a link is
    `consequent_first`.
    """
    products = [product for product in range(PRODUCT_COUNT) if product != CURRENT]
    pairs = [(first, second) for first in products for second in products if first != second]

    def planted(first: int, second: int) -> str:
        link = LINKS.get(second)
        if link is not None and link.antecedent == first:
            reverses = link.lift < 1 < lift(first, second)
            return "reversed" if reverses else "ordered_link" if link.is_ordered else "link"
        if first in LINKS and LINKS[first].antecedent == second:
            return "consequent_first"
        return "null" if (first, second) in SHOWN_AS_NULL or (second, first) in SHOWN_AS_NULL else "none"

    shares = (cell_weights()[..., None] * wanted_shares()).sum(axis=(0, 1))
    columns = {
        "antecedent": pa.array([PRODUCT_CODES[first] for first, _ in pairs], pa.string()),
        "consequent": pa.array([PRODUCT_CODES[second] for _, second in pairs], pa.string()),
        "planted": pa.array([planted(first, second) for first, second in pairs], pa.string()),
        "antecedent_share": pa.array([float(shares[first]) for first, _ in pairs]),
        "consequent_share": pa.array([float(shares[second]) for _, second in pairs]),
    }
    for strata, name in (
        ("population", "population_lift"),
        ("group", "within_group_lift"),
        ("age_band", "within_age_band_lift"),
        ("cell", "within_group_and_age_lift"),
    ):
        columns[name] = pa.array([lift(first, second, strata) for first, second in pairs])
    return pa.table(columns)


class TruthFiles:
    """Writes the truth of a bank beside its tables.

    Parameters
    ----------
    folder
        Where the files go.
    simulation
        The bank that is being written.
    """

    def __init__(self, folder: Path, simulation: Simulation) -> None:
        self._folder = folder
        self._simulation = simulation
        #: Takes what the further tables tell of their own truth.
        self.files = TableFiles(folder, ("parquet",))

    def write_opening(self, block: State) -> None:
        """Write who the customers of a block are and what they want."""
        people = block.people
        joined = people.joined_day
        self.files.write(
            "groups",
            "groups",
            pa.table(
                {
                    "source_customer_id": customer_ids(people.number),
                    "group": strings(GROUP_NAMES, people.group),
                    "age_band": strings(AGE_BAND_NAMES, people.band),
                    "loyalty": pa.array(people.loyalty),
                    "activity": pa.array(people.activity),
                    "wallet_taste": pa.array(people.wallet_taste),
                    "income": pa.array(people.income / 100),
                    "wealth": pa.array(people.wealth / 100),
                    "income_share": pa.array(people.income_share),
                    "joined_on": dates(joined),
                    "is_asleep_at_start": booleans(people.is_asleep_at_start),
                }
            ),
        )
        row, product = np.nonzero(people.wants.T)
        # What is open, not what was planned: the sleeping hold no more than an account, and some borrowers are between
        # two loans. What is neither open nor opens is not opened.
        planned, resumed = people.opening_month[product, row], block.pending_month[product, row]
        is_open = block.is_open[product, row]
        opens = np.where(planned != HELD_AT_START, planned, resumed)
        self.files.write(
            "wants",
            "wants",
            pa.table(
                {
                    "source_customer_id": customer_ids(people.number[row]),
                    "product_code": strings(PRODUCT_CODES, product),
                    "is_held_at_start": booleans(is_open),
                    "opens_in": dates(_first_days(opens), ~is_open & (opens > 0)),
                }
            ),
        )
        asleep = np.flatnonzero(people.is_asleep_at_start)
        self._departures(block, asleep, np.full(len(asleep), 4), self._simulation.settings.first_month, 0)

    def _departures(
        self, block: State, rows: IntegerArray, kinds: IntegerArray, month: Month, lasts: IntegerArray | int
    ) -> None:
        ends = month.number + np.broadcast_to(np.asarray(lasts), rows.shape)
        self.files.write(
            "departures",
            "departures",
            pa.table(
                {
                    "source_customer_id": customer_ids(block.people.number[rows]),
                    "kind": strings(_DEPARTURE_KINDS, kinds),
                    "decided_in": dates(np.full(len(rows), month.first_day)),
                    "ends_in": dates(_first_days(ends)),
                }
            ),
        )

    def write_month(self, block: State, month: Month, record: MonthRecord) -> None:
        """Write what a month decided for a block, which stands at its end."""
        numbers = block.people.number
        columns: dict[str, pa.Array] = {
            "source_customer_id": customer_ids(numbers[record.decisions.at_risk]),
            "month": dates(np.full(len(record.decisions.at_risk), month.first_day)),
            "hazard": pa.array(record.decisions.hazard),
        }
        for name in DRIVERS:
            columns[name] = pa.array(record.decisions.drivers[name])
        self.files.write("hazards", "hazards", pa.table(columns))

        at_once = block.mode[record.decisions.leavers] == CLOSED
        # Closure ends at once or a month later, a drain two months after it began, falling asleep at once.
        lasts = np.select([record.decisions.kinds == 0, record.decisions.kinds == 1], [np.where(at_once, 0, 1), 2], 0)
        self._departures(block, record.decisions.leavers, record.decisions.kinds, month, lasts)
        deceased = record.deceased
        wait = block.estate_month[deceased] - month.number
        self._departures(block, deceased, np.full(len(deceased), 3), month, wait)

        events = [(record.large_purchases, 0), (record.window_dressing, 1)] + [
            (record.matured.get(name, np.empty(0, np.int64)), position)
            for position, name in enumerate(("at_once", "parked", "elsewhere"), start=2)
        ]
        rows = np.concatenate([rows for rows, _ in events])
        kinds = np.concatenate([np.full(len(rows), kind) for rows, kind in events])
        self.files.write(
            "confounders",
            "confounders",
            pa.table(
                {
                    "source_customer_id": customer_ids(numbers[rows]),
                    "kind": strings(_CONFOUNDERS, kinds),
                    "month": dates(np.full(len(rows), month.first_day)),
                }
            ),
        )

    def write_end(self) -> None:
        """Write what does not depend on customers: the lifts and all parameters."""
        self.files.write("affinities", "affinities", affinities_table())
        settings = self._simulation.settings
        parameters = {
            "settings": {
                "customers": settings.customers,
                "months": settings.months,
                "start": settings.start.isoformat(),
                "seed": settings.seed,
                "slice": settings.part,
            },
            "groups": [asdict(group) | {"products": _by_code(group.products)} for group in GROUPS],
            "age_bands": list(AGE_BAND_NAMES),
            "age_factors": _by_code(AGE_FACTORS),
            "products": [asdict(product) for product in PRODUCTS],
            "affinities": [
                asdict(link)
                | {"antecedent": PRODUCT_CODES[link.antecedent], "consequent": PRODUCT_CODES[link.consequent]}
                for link in AFFINITIES
            ],
            "parameters": asdict(settings.parameters),
            **planted(settings),
        }
        text = json.dumps(parameters, indent=2, ensure_ascii=False)
        (self._folder / "parameters.json").write_text(text + "\n", encoding="utf-8")

    def close(self) -> None:
        """Close all files."""
        self.files.close()


def _by_code(values: Mapping[int, object]) -> dict[str, object]:
    return {PRODUCT_CODES[product]: value for product, value in values.items()}


def _first_days(months: IntegerArray) -> IntegerArray:
    """First days of calendar months; of any number for those that are no month."""
    since = np.clip(months, 0, 10_000 * 12) - 1970 * 12
    return since.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
