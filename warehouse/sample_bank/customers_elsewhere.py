"""Table `customers_elsewhere`: records of some of the customers in the card and the customer-relationship system.

Columns are those of `customers`; ids are of the other system, and what it says is older and less exact: a wrong
character in the name, surname and given name swapped, an address or number of before, no birth date. A few records are
of relatives at the same address, who are other people. The truth knows who is who.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import booleans, digits, nothing, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS, customer_ids, customers_table, has_right_check_digit
from warehouse.sample_bank.parameters import Parameters
from warehouse.sample_bank.population import Population
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, IntegerArray, keyed_bijection

SYSTEMS = ("card", "crm")
_FIRST_ID = 10_000_000_000
#: Characters that are taken for each other because they sound or look alike.
_ALIKE = str.maketrans(
    "王张陈杨黄周徐朱何林梁许曹伟强军磊勇杰涛超明芳娜敏静丽艳娟霞秀英玲燕",
    "汪章程扬皇邹许诸贺临良徐草玮墙均雷永洁桃朝鸣方那闽婧莉燕绢夏绣瑛琳艳",
)
_ROADS = ("旧样街", "原址路", "老测试巷")


@dataclass(frozen=True)
class _Faults:
    """What is wrong with each record."""

    typo: BooleanArray
    swapped: BooleanArray
    old_address: BooleanArray
    old_mobile: BooleanArray
    no_birth_date: BooleanArray
    no_identity_number: BooleanArray
    mistyped_identity_number: BooleanArray


def customers_elsewhere_tables(
    people: Population, seed: int, parameters: Parameters, *, last_day: int
) -> tuple[pa.Table, pa.Table]:
    """Records of customers in the other systems, and the truth of who they are.

    Parameters
    ----------
    people, seed, parameters
        Of the bank.
    last_day
        Last day on which a record is there, as days since 1970-01-01.
    """
    further = parameters.further
    draws = Draws(seed, "elsewhere", people.number)
    known = draws.happens("known", further.known_elsewhere)
    twice = draws.happens("twice", further.known_twice)
    system = draws.integer("system", len(SYSTEMS))
    relative = draws.happens("relative", further.relative_elsewhere)
    # Of each customer at most: the record of one system, of the other, and a relative's.
    place = np.concatenate([np.flatnonzero(known), np.flatnonzero(known & twice), np.flatnonzero(relative)])
    which = np.concatenate(
        [np.full(int(mask.sum()), number) for number, mask in enumerate((known, known & twice, relative))]
    )
    recorded = people.joined_day[place] * 86_400 + 8 * 3600
    # A system takes up to 200 days to hear of a customer.
    recorded += (draws.uniform("recorded", place, which) * 200 * 86_400).astype(np.int64)
    # Not in the order of the customers, who would be found by it.
    order = np.lexsort((draws.uniform("order", place, which), recorded))
    order = order[recorded[order] < (last_day + 1) * 86_400]
    place, which, recorded = place[order], which[order], recorded[order]
    is_relative = which == 2
    systems = np.where(which == 1, 1 - system[place], system[place])
    size = len(place)

    def fault(name: str, share: float) -> BooleanArray:
        happens: BooleanArray = draws.happens(name, share, place, which) & ~is_relative
        return happens

    faults = _Faults(
        typo=fault("typo", further.name_typo),
        swapped=fault("swapped", further.name_swapped),
        old_address=fault("old address", further.old_address),
        old_mobile=fault("old mobile", further.old_mobile),
        no_birth_date=fault("no birth date", further.no_birth_date),
        # A relative has an identity number of his own, which is not known here.
        no_identity_number=draws.happens("no identity number", further.no_identity_number, place, which) | is_relative,
        mistyped_identity_number=fault("mistyped", further.mistyped_identity_number),
    )
    own = customers_table(people, seed, place, np.zeros(size, np.bool_), recorded)
    numbers = people.number[place]
    numbered = np.zeros(size, np.int64)
    for position, name in enumerate(SYSTEMS):
        of_system = np.flatnonzero(systems == position)
        # What tells records apart here must tell nobody outside who is whom: a relative is numbered like anybody else.
        distinct = numbers[of_system] * 2 + is_relative[of_system]
        numbered[of_system] = keyed_bijection(seed, f"ids of {name}", distinct)
    ids = digits(numbered + _FIRST_ID)
    columns = {name: own.column(name) for name in own.column_names}
    columns["source_system"] = strings(SYSTEMS, systems)
    columns["source_customer_id"] = ids
    columns["name"] = _names(own, draws, place, faults, is_relative)
    columns["address"] = _addresses(own, draws, place, which, faults)
    columns["mobile"] = _mobiles(own, draws, place, which, faults)
    columns["id_number"] = _identity_numbers(own, draws, place, which, faults)
    years = np.where(is_relative, 2 + draws.integer("relative's age", 28, place), 0)
    born = own.column("born_on").to_numpy().astype("datetime64[D]") + years * 365
    columns["born_on"] = pa.array(born, pa.date32(), mask=faults.no_birth_date)
    for name in ("education", "occupation", "preferred_channel"):
        columns[name] = nothing(size, pa.string())
    columns["annual_income"] = nothing(size, pa.decimal128(18, 2))
    columns["risk_profile"] = nothing(size, pa.int32())
    columns["married_on"] = nothing(size, pa.date32())
    columns["updated_at"] = timestamps(recorded - UTC_OFFSET_SECONDS)
    truth = pa.table(
        {
            "source_system": strings(SYSTEMS, systems),
            "source_customer_id": ids,
            "core_customer_id": customer_ids(numbers, ~is_relative),
            "relative_of_customer_id": customer_ids(numbers, is_relative),
            "has_name_typo": booleans(faults.typo),
            "has_names_swapped": booleans(faults.swapped),
            "has_old_address": booleans(faults.old_address),
            "has_old_mobile": booleans(faults.old_mobile),
            "lacks_birth_date": booleans(faults.no_birth_date),
            "lacks_identity_number": booleans(faults.no_identity_number),
            "has_mistyped_identity_number": booleans(faults.mistyped_identity_number),
        }
    )
    return pa.table(columns), truth


def _names(own: pa.Table, draws: Draws, place: IntegerArray, faults: _Faults, is_relative: BooleanArray) -> pa.Array:
    given = draws.integer("relative's name", 8, place)
    names = own.column("name").to_pylist()
    for row, name in enumerate(names):
        if is_relative[row]:
            names[row] = name[0] + "安宁康乐平和顺吉"[given[row]]
        if faults.typo[row]:
            alike = name.translate(_ALIKE)
            names[row] = alike if alike != name else name + name[-1]
        if faults.swapped[row]:
            names[row] = names[row][1:] + names[row][0]
    return pa.array(names, pa.string())


def _addresses(own: pa.Table, draws: Draws, place: IntegerArray, which: IntegerArray, faults: _Faults) -> pa.Array:
    road, house = draws.integer("old road", len(_ROADS), place, which), draws.integer("old house", 900, place, which)
    addresses = own.column("address").to_pylist()
    for row in np.flatnonzero(faults.old_address).tolist():
        addresses[row] = f"{addresses[row][:2]}{_ROADS[road[row]]}{house[row] + 1}号"
    return pa.array(addresses, pa.string())


def _mobiles(own: pa.Table, draws: Draws, place: IntegerArray, which: IntegerArray, faults: _Faults) -> pa.Array:
    number = draws.integer("old mobile number", 100_000_000, place, which)
    mobiles = own.column("mobile").to_pylist()
    for row in np.flatnonzero(faults.old_mobile).tolist():
        mobiles[row] = f"154{number[row]:08d}"
    return pa.array(mobiles, pa.string())


def _identity_numbers(
    own: pa.Table,
    draws: Draws,
    place: IntegerArray,
    which: IntegerArray,
    faults: _Faults,
) -> pa.Array:
    digit = draws.integer("wrong digit", 9, place, which)
    numbers = own.column("id_number").to_pylist()
    for row, number in enumerate(numbers):
        if faults.no_identity_number[row]:
            numbers[row] = None
        elif faults.mistyped_identity_number[row]:
            numbers[row] = _mistyped(number, int(digit[row]))
    return pa.array(numbers, pa.string())


def _mistyped(number: str, by: int) -> str:
    """Another digit in the serial number, so that the check digit stays wrong: 0 to 8 says which other digit."""
    others = [
        changed
        for step in range(9)
        for changed in [f"{number[:14]}{(int(number[14]) + 1 + (by + step) % 9) % 10}{number[15:]}"]
        if not has_right_check_digit(changed)
    ]
    return others[0]
