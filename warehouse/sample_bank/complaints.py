"""Table `complaints`: what customers bring forward; one row when it is made, another when it is answered."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.accounts import Versions
from warehouse.sample_bank.branches import BRANCH_IDS
from warehouse.sample_bank.columns import digits, nothing, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, customer_ids
from warehouse.sample_bank.leaving import complaint_kinds
from warehouse.sample_bank.parameters import PRODUCT_CODES
from warehouse.sample_bank.population import Population
from warehouse.sample_bank.random_numbers import Draws, IntegerArray

_KINDS = ("complaint", "suggestion", "enquiry")
_CATEGORIES = ("waiting_time", "fees", "app", "staff", "product", "card", "rate", "other")
_CHANNELS = ("phone", "app", "counter", "email")
_RESOLUTIONS = ("explained", "refunded", "corrected", "apologised")


def complaints_table(people: Population, seed: int, versions: Versions) -> pa.Table:
    """Versions of `complaints`, ordered by time.

    Parameters
    ----------
    people
        Who the customers are.
    seed
        The bank's seed.
    versions
        Columns as the ledger's `complaints` collects them.
    """
    row = versions["row"]
    answered = versions["answer_day"] > 0
    opened_second, answered_second = _clock(people, seed, versions)
    updated = np.where(answered, answered_second, opened_second)
    order = np.lexsort((people.number[row], updated))
    row, answered, updated = row[order], answered[order], updated[order]
    month, is_slow = versions["month"][order], versions["is_slow"][order]
    numbers = people.number[row]
    # Attributes belong to the complaint, so both versions draw them from the month it was made in.
    draws = Draws(seed, "complaints", numbers * 100_000 + month)
    kinds = np.empty(len(row), np.int64)
    for made_in in np.unique(month).tolist():
        of_month = np.flatnonzero(month == made_in)
        life = Draws(seed, "life", numbers[of_month], made_in)
        kinds[of_month] = complaint_kinds(life, np.arange(len(of_month)))
    size = len(row)
    zeros = np.zeros(size, np.int64)
    severity = 1 + draws.integer("severity", 3) + (kinds == 0)
    product = draws.integer("product", len(PRODUCT_CODES))
    has_product = draws.happens("has product", 0.5)
    reopened = (is_slow & draws.happens("reopened", 0.3) & answered).astype(np.int32)
    return pa.table(
        {
            "source_system": strings(["service"], zeros),
            "complaint_id": digits((month // 12 * 100 + month % 12 + 1) * 1_000_000_000 + numbers),
            "customer_source_system": strings(["core"], zeros),
            "source_customer_id": customer_ids(numbers),
            "opened_at": timestamps(opened_second[order] - UTC_OFFSET_SECONDS),
            "closed_at": timestamps(answered_second[order] - UTC_OFFSET_SECONDS, answered),
            "kind": strings(_KINDS, kinds),
            "category": strings(_CATEGORIES, draws.integer("category", len(_CATEGORIES))),
            "severity": pa.array(np.minimum(severity, 4).astype(np.int32)),
            "channel": strings(_CHANNELS, draws.integer("channel", len(_CHANNELS))),
            "branch_id": strings(BRANCH_IDS, people.branch[row]),
            "employee_id": nothing(size, pa.string()),
            "product_code": strings(PRODUCT_CODES, np.where(has_product, product, -1)),
            "text": nothing(size, pa.string()),
            "resolution": strings(_RESOLUTIONS, np.where(answered, draws.integer("resolution", 4), -1)),
            "reopened_count": pa.array(reopened),
            "updated_at": timestamps(updated - UTC_OFFSET_SECONDS),
        }
    )


def _clock(people: Population, seed: int, versions: Versions) -> tuple[IntegerArray, IntegerArray]:
    """Local seconds of making and answering; the answer is never before the complaint."""
    draws = Draws(seed, "complaints", people.number[versions["row"]] * 100_000 + versions["month"])
    opened = versions["opened_day"] * 86_400 + (9 * 3600 + 6 * 3600 * draws.uniform("opened")).astype(np.int64)
    answered = versions["answer_day"] * 86_400 + (15 * 3600 + 3 * 3600 * draws.uniform("answered")).astype(np.int64)
    return opened, answered
