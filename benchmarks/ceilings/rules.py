"""What association finds and verifies on sample banks, and what its next products hit, against the planted truth.

A discovery is a pair of products. It is false when the pair's lift in the generating model is at most 1; a *verified*
one is false too when its lift inside strata is below the bound of the test. Three strata are held against it: age
bands and, harder, the latent groups of the model with and without age, which no column of the bank tells.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy.stats import binom, hypergeom

from dagster_project.lib.mining_tasks import SHIPPED_TASKS, read_task
from mining.association import NextProductSettings, months_before, periods_of, read_holdings, recommend
from mining.association.holdings import Holdings
from mining.association.task import deciles, run_task
from warehouse.sample_bank.generate import VERSION, generate

CUSTOMERS, MONTHS = 20_000, 24
AS_OF = date(2025, 12, 31)
CURRENT = "CURRENT"
SEEDS = Path(__file__).resolve().parents[2] / "dbt" / "seeds"

HOLDINGS = """
select source_customer_id as person_id, product_code as item, opened_on as held_from, closed_on as held_to
from accounts
qualify row_number() over (partition by account_id order by updated_at desc, closed_on is null) = 1
order by all
"""
PERSONS = """
with

booked as (
    select account_id, balance as amount from balances
    union all
    select account_id, amount from transactions where value_on <= $day
),

owned as (
    select distinct account_id, source_customer_id from accounts
    semi join (from products where side in ('liability', 'aum')) as assets using (product_code)
),

assets as (
    select source_customer_id, sum(amount) as aum from booked inner join owned using (account_id)
    group by source_customer_id
)

select
    customers.source_customer_id as person_id, party_type, occupation, risk_profile,
    date_sub('year', born_on, $day) as age, coalesce(aum, 0)::double as aum,
    coalesce(consent_marketing, true) and not coalesce(is_deceased, false) as is_reachable
from customers left join assets using (source_customer_id)
where updated_at < $day::timestamp + interval 1 day
qualify row_number() over (partition by source_customer_id order by updated_at desc) = 1
order by all
"""


@dataclass(frozen=True)
class RuleFigures:
    """What was found on the bank of a seed; pairs are counted once, whichever side is the condition."""

    seed: int
    planted: int
    planted_with_power: int
    planted_with_power_found: int
    found: int
    found_false: int
    verified: int
    verified_false: int
    verified_false_within_age: int
    verified_false_within_group: int
    verified_false_within_group_and_age: int
    planted_with_power_verified: int
    simpson_flagged: bool
    judged: int
    hit_rate: float
    popularity_hit_rate: float
    difference: float
    difference_lower: float
    difference_upper: float


def rule_figures(folder: Path, seed: int) -> RuleFigures:
    """Mine the bank of a seed with the shipped task and hold what it says against the truth; banks are kept."""
    folder = folder / f"v{VERSION}"  # a bank of another version is another bank
    if not (folder / "truth" / "affinities").is_dir():
        generate(folder / "bank", customers=CUSTOMERS, months=MONTHS, seed=seed, truth_dir=folder / "truth")
    with duckdb.connect(config={"threads": 2}) as connection:
        for table in ("accounts", "balances", "customers", "products", "transactions"):
            connection.execute(f"create view {table} as select * from '{folder}/bank/{table}/*.parquet'")
        held = read_holdings(connection.sql(HOLDINGS).df())
        days = [months_before(AS_OF, 12), months_before(AS_OF, 6), AS_OF]
        persons = [_persons(connection, day) for day in days]
        terms = pd.read_csv(SEEDS / "product_terms.csv")
        products = connection.sql("select * from products").df().merge(terms, on="category").set_index("product_code")
        truth = connection.sql(f"select * from '{folder}/truth/affinities/*.parquet'").df()
    return RuleFigures(
        seed,
        **_against_truth(held, persons[-1], truth),
        **_hits(held, persons, products, days),
    )


def _persons(connection: duckdb.DuckDBPyConnection, day: date) -> pd.DataFrame:
    frame = connection.sql(PERSONS, params={"day": day}).df().set_index("person_id")
    with (SEEDS / "age_bands.csv").open(encoding="utf-8") as file:
        bounds = [int(row["age_below"]) for row in csv.DictReader(file)]
    frame["age_band"] = np.digitize(frame["age"], bounds[:-1])
    frame["aum_decile"] = deciles(frame["aum"])
    return frame


def _against_truth(held: Holdings, persons: pd.DataFrame, truth: pd.DataFrame) -> dict[str, int | bool]:
    task = read_task(SHIPPED_TASKS / "holdings.yml")
    result = run_task(task, held, persons, AS_OF, left_out=frozenset({CURRENT}), history_from=date(2024, 1, 1))
    rules = result.rules.rules[["antecedent", "consequent", "is_significant"]].join(result.evidence)
    pairs = rules.merge(truth, on=["antecedent", "consequent"])
    pairs["pair"] = [" ".join(sorted(pair)) for pair in zip(pairs["antecedent"], pairs["consequent"], strict=True)]
    flags = ["is_significant", "is_verified", "is_reversed"]
    lifts = ["population_lift", "within_age_band_lift", "within_group_lift", "within_group_and_age_lift"]
    seen = pairs.groupby("pair").agg({**dict.fromkeys(flags, "max"), **dict.fromkeys(lifts, "first")})
    found, verified = seen[seen["is_significant"]], seen[seen["is_verified"]]
    baskets = int(str(result.rules.metadata["basket_count"]))
    tests = int(str(result.rules.metadata["rules_tested"]))
    bound = int(str(result.rules.metadata["min_count"]))
    links = truth[truth["planted"].isin(["link", "ordered_link"])]
    strong = [
        " ".join(sorted((link.antecedent, link.consequent)))
        for link in links.itertuples()
        if _power(link, baskets, task.settings.false_discovery_rate / tests, bound) >= 0.9
    ]
    least = task.verification.minimum_lift
    simpson = " ".join(sorted(truth.loc[truth["planted"] == "reversed", ["antecedent", "consequent"]].iloc[0]))
    is_false = verified["population_lift"] <= 1
    return {
        "planted": len(links),
        "planted_with_power": len(strong),
        "planted_with_power_found": sum(pair in found.index for pair in strong),
        "found": len(found),
        "found_false": int((found["population_lift"] <= 1).sum()),
        "verified": len(verified),
        "verified_false": int(is_false.sum()),
        "verified_false_within_age": int((is_false | (verified["within_age_band_lift"] < least)).sum()),
        "verified_false_within_group": int((is_false | (verified["within_group_lift"] < least)).sum()),
        "verified_false_within_group_and_age": int((is_false | (verified["within_group_and_age_lift"] < least)).sum()),
        "planted_with_power_verified": sum(pair in verified.index for pair in strong),
        "simpson_flagged": bool(simpson in seen.index and seen.loc[simpson, "is_reversed"]),
    }


def _power(link: object, baskets: int, level: float, bound: int) -> float:
    """Return the chance that a link is frequent enough and significant at a level, from its shares and lift."""
    first, second = (round(baskets * getattr(link, f"{side}_share")) for side in ("antecedent", "consequent"))
    joint = link.population_lift * link.antecedent_share * link.consequent_share  # type: ignore[attr-defined]
    needed = max(bound, int(hypergeom.isf(level, baskets, first, second)) + 1)
    return float(binom.sf(needed - 1, baskets, joint))


def _hits(held: Holdings, persons: list[pd.DataFrame], products: pd.DataFrame, days: list[date]) -> dict[str, float]:
    before, last, now = periods_of(held, persons, products, days)
    names = held.persons.tolist()
    margins = [None] * len(held.items)
    result = recommend(
        names, held.items, before=before, last=last, now=now, margins=margins, settings=NextProductSettings()
    )
    rows = result.metrics.set_index(["subject", "metric"])
    return {
        "judged": int(rows.loc[("model", "persons_judged"), "value"]),
        "hit_rate": rows.loc[("model", "hit_rate_at_3"), "value"],
        "popularity_hit_rate": rows.loc[("popularity", "hit_rate_at_3"), "value"],
        **{
            name: rows.loc[("difference", "hit_rate_at_3"), column]
            for name, column in (("difference", "value"), ("difference_lower", "lower"), ("difference_upper", "upper"))
        },
    }
