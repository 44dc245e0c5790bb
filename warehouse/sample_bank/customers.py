"""Table `customers`: who they are in words. Names are common ones; numbers are invalid by construction.

Identity numbers carry an area code that is not in use (the first two digits 99 are no province) and a wrong check
digit (GB 11643-1999); mobile numbers begin with 154, which is not assigned to any operator; e-mail addresses end
in `.invalid` (RFC 2606). So no row can be a living person's.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.sample_bank.branches import BRANCH_CITIES, BRANCH_IDS, BRANCH_REGIONS
from warehouse.sample_bank.columns import (
    AnyIntegers,
    booleans,
    dates,
    decimals,
    digits,
    joined,
    nothing,
    strings,
    timestamps,
)
from warehouse.sample_bank.parameters import GROUP_NAMES, GROUPS
from warehouse.sample_bank.population import Population
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, IntegerArray

#: China has one time zone, eight hours before UTC, without summer time since 1992.
UTC_OFFSET_SECONDS = 8 * 3600

_FIRST_ID = 100_000_000
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹"
#: Relative frequency of the thirty commonest surnames, in tenths of a per cent of the population.
_SURNAME_WEIGHTS = np.array(
    [72, 72, 68, 54, 45, 31, 22, 21, 20, 19, 14, 14, 13, 13, 12, 12, 12, 10, 10, 9, 9, 9, 8, 8, 8, 7, 7, 7, 7, 7]
)
_GIVEN_MEN = "伟强军磊勇杰涛超明刚平辉鹏华飞波斌宇浩凯健俊帆旭宁"
_GIVEN_WOMEN = "芳娜敏静丽艳娟霞秀英玲燕红梅婷雪慧洁琳倩颖佳妍欣怡"
_SECOND = ("", "", "子", "文", "晓", "建", "志", "国", "海", "春", "思", "雨")
_ROADS = ("示例路", "样本街", "虚构大道", "测试巷", "模拟路", "范例街")
_EDUCATION = ("primary", "secondary", "vocational", "bachelor", "master")
_OCCUPATIONS = (
    "office_worker", "civil_servant", "teacher", "engineer", "retired", "business_owner", "executive",
    "student", "construction_worker", "factory_worker", "courier", "shopkeeper", "farmer", "other",
)  # fmt: skip
#: Cumulated shares of education and possible occupations, by group.
_EDUCATION_SHARES = {
    "salaried_young": (0.01, 0.10, 0.30, 0.85, 1.0),
    "affluent_savers": (0.02, 0.20, 0.40, 0.82, 1.0),
    "retirees": (0.25, 0.70, 0.85, 0.98, 1.0),
    "entrepreneurs": (0.04, 0.35, 0.60, 0.90, 1.0),
    "wealth_clients": (0.02, 0.18, 0.35, 0.75, 1.0),
    "students": (0.0, 0.15, 0.35, 0.90, 1.0),
    "migrant_workers": (0.18, 0.75, 0.95, 1.0, 1.0),
    "small_business_owners": (0.10, 0.55, 0.82, 0.98, 1.0),
}
_GROUP_OCCUPATIONS = {
    "salaried_young": (0, 0, 0, 3, 2, 13),
    "affluent_savers": (0, 1, 2, 3, 6, 13),
    "retirees": (4, 4, 4, 4, 12, 13),
    "entrepreneurs": (5, 5, 5, 6, 6, 11),
    "wealth_clients": (5, 6, 6, 1, 4, 13),
    "students": (7, 7, 7, 7, 7, 0),
    "migrant_workers": (8, 9, 9, 10, 12, 13),
    "small_business_owners": (11, 11, 11, 5, 10, 13),
}
_CONTACT_CHANNELS = ("call", "sms", "visit", "event", "email", "app")
_CHECK_DIGITS = "10X98765432"
_CHECK_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])


def customer_ids(numbers: AnyIntegers, present: BooleanArray | None = None) -> pa.Array:
    """Source ids of customers by their life numbers: nine digits."""
    return digits(numbers + _FIRST_ID, present)


def identity_numbers(born: IntegerArray, is_woman: BooleanArray, draws: Draws) -> pa.Array:
    """Eighteen-digit identity numbers of an area that does not exist, with a wrong check digit."""
    area = 990_000 + draws.integer("id area", 10_000)
    days = born.astype("datetime64[D]")
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    months = days.astype("datetime64[M]").astype(np.int64) % 12 + 1
    of_month = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    serial = draws.integer("id serial", 500) * 2 + np.where(is_woman, 0, 1)
    number = ((area * 10_000 + years) * 10_000 + months * 100 + of_month) * 1_000 + serial
    places = 10 ** np.arange(16, -1, -1, dtype=np.int64)
    right = ((number[:, None] // places % 10) * _CHECK_WEIGHTS).sum(axis=1) % 11
    wrong = (right + 1 + draws.integer("id check", 10)) % 11
    return joined(digits(number), strings(list(_CHECK_DIGITS), wrong))


def consents(draws: Draws) -> BooleanArray:
    """Who agrees to marketing, from the draws of the stream `customers`; assumed: 72 % do when they join."""
    return draws.happens("consent", 0.72)


def has_right_check_digit(number: str) -> bool:
    """Whether an eighteen-digit identity number ends in the check digit of GB 11643-1999.

    Examples
    --------
    >>> has_right_check_digit("11010519491231002X")
    True
    """
    found = sum(int(digit) * weight for digit, weight in zip(number[:17], _CHECK_WEIGHTS.tolist(), strict=True))
    return _CHECK_DIGITS[found % 11] == number[17]


def customers_table(
    people: Population, seed: int, rows: IntegerArray, is_deceased: BooleanArray, updated: IntegerArray
) -> pa.Table:
    """Versions of `customers`.

    Parameters
    ----------
    people
        Who the customers are.
    seed
        The bank's seed.
    rows
        Position of the customer of each version.
    is_deceased
        Whether the bank knows of the customer's death in this version.
    updated
        Local seconds since 1970-01-01 of the version.
    """
    some = people.rows(rows)
    size = len(rows)
    draws = Draws(seed, "customers", some.number)
    zeros = np.zeros(size, np.int64)
    names = list(GROUP_NAMES)

    surname = np.searchsorted(
        np.cumsum(_SURNAME_WEIGHTS) / _SURNAME_WEIGHTS.sum(), draws.uniform("surname"), side="right"
    )
    given = np.where(
        some.is_woman,
        draws.integer("given", len(_GIVEN_WOMEN)) + len(_GIVEN_MEN),
        draws.integer("given", len(_GIVEN_MEN)),
    )
    name = joined(
        strings(list(_SURNAMES), surname),
        strings(_SECOND, draws.integer("second", len(_SECOND))),
        strings(list(_GIVEN_MEN + _GIVEN_WOMEN), given),
    )
    mobile = joined("154", pc.utf8_lpad(digits(draws.integer("mobile", 100_000_000)), 8, "0"))
    email = joined("u", digits(draws.integer("email", 10**9) + 10**8), "@example.invalid")
    email = pc.if_else(pa.array(draws.happens("has email", 0.55)), email, pa.scalar(None, pa.string()))
    address = joined(
        strings(BRANCH_CITIES, some.branch),
        strings(_ROADS, draws.integer("road", len(_ROADS))),
        digits(draws.integer("house", 999) + 1),
        "号",
        digits(draws.integer("flat", 30) * 100 + draws.integer("door", 8) + 101),
        "室",
    )
    education_shares = np.array([_EDUCATION_SHARES[group] for group in names])[some.group]
    education = (draws.uniform("education")[:, None] > education_shares).sum(axis=1)
    occupation = np.array([_GROUP_OCCUPATIONS[group] for group in names])[some.group, draws.integer("occupation", 6)]
    risk = np.array([group.risk_profile for group in GROUPS])[some.group] + 0.8 * draws.normal("risk")
    has_risk = draws.happens("risk assessed", 0.7)
    age_joined = (some.joined_day - some.born_day) / 365.25
    # Stated once, when the customer joined: rounded, and often left out.
    stated = np.rint(some.income * 12 * np.exp(0.25 * draws.normal("stated income")) / 1_000_000) * 1_000_000
    has_income = draws.happens("income stated", 0.65)
    married_after = 8_035 + draws.integer("married at", 3_650)
    married = some.born_day + married_after
    is_married = draws.happens("married", 0.7) & (married < some.joined_day) & draws.happens("marriage known", 0.4)
    taste = some.wallet_taste
    channel = np.where(
        draws.happens("contact by phone", some.counter_share), 0, np.where(taste > 1.2, 5, draws.integer("contact", 6))
    )
    return pa.table(
        {
            "source_system": strings(["core"], zeros),
            "source_customer_id": customer_ids(some.number),
            "party_type": strings(["personal"], zeros),
            "name": name,
            "id_type": strings(["resident_identity_card"], zeros),
            "id_number": identity_numbers(some.born_day, some.is_woman, draws),
            "gender": strings(["male", "female"], some.is_woman.astype(np.int64)),
            "born_on": dates(some.born_day),
            "married_on": dates(married, is_married),
            "mobile": mobile,
            "email": email,
            "address": address,
            "city": strings(BRANCH_CITIES, some.branch),
            "region": strings(BRANCH_REGIONS, some.branch),
            "education": strings(_EDUCATION, np.where(draws.happens("education known", 0.8), education, -1)),
            "occupation": strings(_OCCUPATIONS, np.where(age_joined < 18, 7, occupation)),
            "annual_income": decimals(stated.astype(np.int64), present=has_income),
            "risk_profile": pa.array(np.clip(np.rint(risk), 1, 5).astype(np.int32), mask=~has_risk),
            "registered_branch_id": strings(BRANCH_IDS, some.branch),
            "registered_on": dates(some.joined_day),
            "industry": nothing(size, pa.string()),
            "founded_on": nothing(size, pa.date32()),
            "is_foreign_trade": nothing(size, pa.bool_()),
            "enterprise_size": nothing(size, pa.string()),
            "preferred_channel": strings(
                _CONTACT_CHANNELS, np.where(draws.happens("states channel", 0.35), channel, -1)
            ),
            "consent_marketing": booleans(consents(draws)),
            "is_employee": booleans(draws.happens("employee", 0.004) & (some.group == 0)),
            "is_deceased": booleans(is_deceased),
            "is_deleted": booleans(np.zeros(size, np.bool_)),
            "updated_at": timestamps(updated - UTC_OFFSET_SECONDS),
        }
    )
