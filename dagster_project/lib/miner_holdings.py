"""What the miners of holdings read: who held what when, and who the holders were at a date, as known then."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd

from mining.association.holdings import Holdings, read_holdings
from mining.association.task import deciles

PERSONS = """
with

last_month as (
    select max(month_start_on) as month_start_on
    from features.mining_features_customer_month
    where last_day(month_start_on) <= $day
)

select
    customers.person_id,
    customers.party_type,
    customers.gender,
    customers.region,
    customers.education,
    customers.occupation,
    customers.risk_profile,
    coalesce(customers.consent_marketing, true)
    and not coalesce(customers.is_deceased, false)
    and not customers.is_deleted as is_reachable,
    months.age,
    age_bands.age_band,
    tier_bands.tier as aum_band,
    months.aum_average::double as aum
from core.dim_customer as customers
left join last_month on true
left join features.mining_features_customer_month as months
    on customers.person_id = months.person_id and last_month.month_start_on = months.month_start_on
left join settings.age_bands as age_bands
    on
        months.age >= age_bands.age_from and months.age < age_bands.age_below
        and age_bands.valid_from <= $day and $day < age_bands.valid_to
left join settings.tier_bands as tier_bands
    on
        months.aum_average is not null
        and months.aum_average >= coalesce(tier_bands.aum_from, months.aum_average)
        and (months.aum_average < tier_bands.aum_below or tier_bands.aum_below is null)
        and tier_bands.valid_from <= $day and $day < tier_bands.valid_to
where customers.valid_from <= $day and $day < customers.valid_to
order by customers.person_id
"""


def holdings(connection: duckdb.DuckDBPyConnection) -> Holdings:
    """Who held what when."""
    rows = connection.sql(
        "select person_id, item, held_from, nullif(held_to, date '9999-12-31') as held_to "
        "from features.mining_holding order by all"
    ).to_arrow_table()
    return read_holdings(rows.to_pandas(date_as_object=False))


def persons_at(connection: duckdb.DuckDBPyConnection, day: date) -> pd.DataFrame:
    """Everybody at a date, indexed by ``person_id``, with what was known of them at the end of the last full month.

    Assets below the first band's lower end (overdrawn accounts) are in the first band.
    """
    frame: pd.DataFrame = connection.sql(PERSONS, params={"day": day}).to_arrow_table().to_pandas()
    frame = frame.set_index("person_id")
    frame["aum_decile"] = deciles(frame.pop("aum").astype("float64"))
    return frame


def history_from(connection: duckdb.DuckDBPyConnection) -> date | None:
    """The first day on which holdings are known in full: the beginning of the first month with balances or flows."""
    found = connection.execute("select min(month_start_on) from core.fct_account_month").fetchall()
    day: date | None = found[0][0]
    return day


def near_universal(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Items that nearly everybody holds: they say nothing about anybody."""
    rows = connection.execute("select item from features.mining_basket_items where is_near_universal").fetchall()
    return frozenset(item for (item,) in rows)


def product_labels(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, str]]:
    """English and Chinese name of each product that has one: the bank's own."""
    rows = connection.execute("select product_code, name from core.dim_product where name is not null order by all")
    return {code: (name, name) for code, name in rows.fetchall()}
