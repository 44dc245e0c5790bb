"""Table `products`: the shelf."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import dates, decimals, nothing, strings, timestamps
from warehouse.sample_bank.dates import day_number
from warehouse.sample_bank.parameters import PRODUCTS

_LAUNCHED = day_number(date(1998, 1, 1))


def products_table() -> pa.Table:
    """All rows of `products`."""
    size = len(PRODUCTS)
    zeros = np.zeros(size, np.int64)

    def rates(values: list[float | None]) -> pa.Array:
        present = np.array([value is not None for value in values])
        units = np.array([round((value or 0.0) * 1e8) for value in values], np.int64)
        return decimals(units, 12, 8, present)

    return pa.table(
        {
            "source_system": strings(["core"], zeros),
            "product_code": pa.array([product.code for product in PRODUCTS], pa.string()),
            "name": pa.array([product.name for product in PRODUCTS], pa.string()),
            "category": pa.array([product.category for product in PRODUCTS], pa.string()),
            "side": pa.array([product.side for product in PRODUCTS], pa.string()),
            "audience": strings(["personal"], zeros),
            "currency": strings(["CNY"], zeros),
            "term_days": pa.array([product.term_days for product in PRODUCTS], pa.int32()),
            "risk_level": pa.array([product.risk_level for product in PRODUCTS], pa.int32()),
            "yield_kind": pa.array([product.yield_kind for product in PRODUCTS], pa.string()),
            "yield_low": rates([product.yield_low for product in PRODUCTS]),
            "yield_high": rates([product.yield_high for product in PRODUCTS]),
            "issue_from": nothing(size, pa.date32()),
            "issue_to": nothing(size, pa.date32()),
            "launched_on": dates(zeros + _LAUNCHED),
            "withdrawn_on": nothing(size, pa.date32()),
            "ftp_method": pa.array(
                ["matched_term" if product.term_days else "moving_average" for product in PRODUCTS], pa.string()
            ),
            "cost_driver": pa.array([product.cost_driver for product in PRODUCTS], pa.string()),
            "updated_at": timestamps(zeros + _LAUNCHED * 86_400),
        }
    )
