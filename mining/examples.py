"""Small made-up customers with known truth, for documentation and tests; no figure here describes a real bank."""

from __future__ import annotations

import numpy as np
import pandas as pd


def customer_panel(
    persons: int = 2000, months: int = 16, seed: int = 1, effect: float = 1.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a customer-month panel with planted departures, and the truth behind it.

    Every month a customer may begin to drift away (more likely after a complaint, or with few transactions and
    no salary). Who drifts makes fewer transactions, moves assets out, and closes with a chance of 12 % a month.

    Parameters
    ----------
    persons, months
        Size of the panel; the first month ends on 2023-01-31.
    seed
        Seed of the generator.
    effect
        How much complaints and inactivity matter; 0: departures cannot be foreseen before they begin.

    Returns
    -------
    tuple of pandas.DataFrame
        Panel (`person_id, month_on` and features; no row after the closure) and truth (`person_id, month_on,
        is_drifting`), row by row.
    """
    draw = np.random.default_rng(seed)
    aum = np.exp(draw.normal(10.5, 1.0, persons))
    activity = np.exp(draw.normal(1.8, 0.6, persons))
    digital = draw.beta(2, 2, persons)
    age = draw.integers(20, 80, persons)
    tenure = draw.integers(1, 120, persons)
    has_salary = draw.random(persons) < 0.4
    is_open = np.ones(persons, dtype=bool)
    is_drifting = np.zeros(persons, dtype=bool)
    silent_days = np.zeros(persons)
    since_complaint = np.full(persons, 99.0)
    identifiers = np.array([f"P{number:06d}" for number in range(persons)], dtype=object)
    panel, truth = [], []
    for number, month in enumerate(pd.date_range("2023-01-31", periods=months, freq="ME")):
        complained = draw.random(persons) < 0.015
        since_complaint = np.where(complained, 0.0, since_complaint + 1)
        hazard = 0.006 + effect * (0.10 * (since_complaint < 4) + 0.03 * ((activity < 5) & ~has_salary))
        is_drifting |= draw.random(persons) < hazard
        own = draw.poisson(activity * np.where(is_drifting, 0.3, 1.0))
        moved = aum * np.where(is_drifting, 0.10, 0.02) * draw.random(persons) * 2
        aum = np.maximum(aum * np.exp(0.03 * draw.normal(size=persons)) - np.where(is_drifting, moved, 0.0), 0.0)
        silent_days = np.where(own > 0, draw.integers(0, 20, persons), silent_days + 30)
        salary = np.where(has_salary & ~(is_drifting & (draw.random(persons) < 0.5)), 3, 0)
        frame = pd.DataFrame(
            {
                "person_id": identifiers,
                "month_on": month,
                "aum_average": aum,
                "accounts_open": 1,
                "customer_transactions_1m": own,
                "days_since_last_customer_transaction": silent_days,
                "external_outflow_3m": 3 * moved,
                "salary_months_3m": salary,
                "complaints_12m": (since_complaint < 12).astype(int),
                "complaints_open": (since_complaint < 2).astype(int),
                "products_held": 1 + (aum > 40_000) + (activity > 6),
                "digital_share_3m": digital,
                "tenure_months": tenure + number,
                "age": age,
                "gender": np.where(np.arange(persons) % 2, "F", "M"),
            }
        )
        panel.append(frame[is_open])
        truth.append(frame.loc[is_open, ["person_id", "month_on"]].assign(is_drifting=is_drifting[is_open]))
        is_open &= ~(is_drifting & (draw.random(persons) < 0.12))
    return pd.concat(panel, ignore_index=True), pd.concat(truth, ignore_index=True)


GROUPS: tuple[tuple[str, float, tuple[float, float, float, float, float]], ...] = (
    ("young digital", 0.30, (8.5, 25.0, 0.85, 1.5, 27.0)),
    ("salaried family", 0.25, (10.5, 15.0, 0.50, 3.5, 40.0)),
    ("pensioner", 0.20, (11.5, 4.0, 0.10, 2.0, 68.0)),
    ("dormant", 0.15, (8.0, 0.7, 0.20, 1.0, 48.0)),
    ("affluent", 0.10, (13.5, 10.0, 0.60, 6.0, 52.0)),
)
"""Name, share, and (log assets, transactions, digital share, products, age) of each group."""


def customer_groups(persons: int = 2000, seed: int = 1) -> tuple[pd.DataFrame, pd.Series]:
    """Return features of customers from five known groups, and the group of each.

    Parameters
    ----------
    persons
        Number of customers.
    seed
        Seed of the generator.

    Returns
    -------
    tuple
        Features indexed by person (one column is noise, one is a category), and the group's name per person.
    """
    draw = np.random.default_rng(seed)
    shares = np.array([share for _, share, _ in GROUPS])
    group = draw.choice(len(GROUPS), size=persons, p=shares / shares.sum())
    centre = np.array([values for _, _, values in GROUPS])[group]
    person = pd.Index([f"P{number:06d}" for number in range(persons)], name="person_id")
    features = pd.DataFrame(
        {
            "aum_average": np.exp(centre[:, 0] + 0.5 * draw.normal(size=persons)),
            "customer_transactions_3m": draw.poisson(3 * centre[:, 1] * np.exp(0.2 * draw.normal(size=persons))),
            "digital_share_3m": np.clip(centre[:, 2] + 0.08 * draw.normal(size=persons), 0, 1),
            "products_held": 1 + draw.poisson(np.maximum(centre[:, 3] - 1, 0.05)),
            "age": np.clip(np.round(centre[:, 4] + 4 * draw.normal(size=persons)), 18, 95),
            "shoe_size": draw.normal(41, 2, size=persons),
            "gender": np.where(draw.random(persons) < 0.5, "F", "M"),
        },
        index=person,
    )
    return features, pd.Series(np.array([name for name, _, _ in GROUPS], dtype=object)[group], index=person)
