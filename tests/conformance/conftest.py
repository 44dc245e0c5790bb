"""Baskets with published answers, as long frames."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture(scope="session")
def quest_baskets(shared_data: Path) -> pd.DataFrame:
    """T10I4D100K: 100,000 synthetic baskets of IBM's Quest generator."""
    lines = (shared_data / "fimi" / "T10I4D100K.dat").read_text().splitlines()
    rows = [(basket, int(item)) for basket, line in enumerate(lines) for item in line.split()]
    return pd.DataFrame(rows, columns=["basket", "item"])


@pytest.fixture(scope="session")
def groceries_baskets(shared_data: Path) -> pd.DataFrame:
    """Groceries (arules): 9,835 market baskets."""
    with (shared_data / "groceries" / "groceries.csv").open(newline="") as file:
        rows = [(basket, item) for basket, items in enumerate(csv.reader(file)) for item in items]
    return pd.DataFrame(rows, columns=["basket", "item"])


@pytest.fixture(scope="session")
def berka_baskets(shared_data: Path) -> pd.DataFrame:
    """Products per account of the Czech bank: 3,997 of the 4,500 accounts hold any."""
    read = {
        name: pd.read_csv(shared_data / "berka" / f"{name}.asc", sep=";", keep_default_na=False)
        for name in ("order", "loan", "card", "disp")
    }
    orders = read["order"].assign(item=lambda frame: frame["k_symbol"].str.strip().replace("", "ORD_OTHER"))
    loans = read["loan"].assign(item="LOAN")
    cards = read["card"].merge(read["disp"], on="disp_id", suffixes=("", "_disposition"))
    cards = cards.assign(item="CARD_" + cards["type"].str.upper())
    others = read["disp"][read["disp"]["type"] == "DISPONENT"].assign(item="DISPONENT")
    held = pd.concat([frame[["account_id", "item"]] for frame in (orders, loans, cards, others)])
    return held.drop_duplicates().rename(columns={"account_id": "basket"}).reset_index(drop=True)
