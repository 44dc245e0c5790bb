"""Table `employees`: who works where, in versions; places that are filled again whenever somebody leaves.

Every sub-branch has one team of two managers for each `numbers_per_team` life numbers, so a larger bank has more of
them and a customer's place in a book does not depend on how many customers there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.branches import BRANCH_IDS, BRANCH_OPENED, SUB_BRANCHES
from warehouse.sample_bank.columns import dates, decimals, joined, strings, timestamps
from warehouse.sample_bank.customers import UTC_OFFSET_SECONDS
from warehouse.sample_bank.dates import FIRST_YEAR, LAST_YEAR, Month
from warehouse.sample_bank.parameters import Parameters
from warehouse.sample_bank.random_numbers import Draws, IntegerArray

GRADES = ("senior", "1", "2", "3", "4", "trainee")
ROLES = (
    "president", "risk_manager", "marketing", "lobby_manager", "teller", "relationship_manager", "analyst",
    "compliance", "product_manager",
)  # fmt: skip
#: Roles of a branch by its level, apart from relationship managers.
_STAFF = {
    "head_office": (0, 6, 6, 6, 7, 7, 8, 8),
    "branch": (0, 1, 1, 2, 2),
    "sub_branch": (0, 3, 4, 4, 4),
}
_MANAGER, _LOBBY = ROLES.index("relationship_manager"), ROLES.index("lobby_manager")
#: Grades (positions in `GRADES`) in which managers of the senior and of the junior place begin.
_FIRST_GRADES = ((0, 1, 1, 2), (2, 3, 4, 4, 5, 5))
_EPOCH = Month(FIRST_YEAR * 12).first_day
#: More holders of one place than there can be: twice as many as years.
_MOST_HOLDERS = 2 * (LAST_YEAR + 1 - FIRST_YEAR)
_DAYS_PER_YEAR = 365.25
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
_GIVEN = (
    "伟",
    "静",
    "磊",
    "敏",
    "洋",
    "婷",
    "俊",
    "雪",
    "晨",
    "琳",
    "博",
    "悦",
    "子涵",
    "文博",
    "思远",
    "晓彤",
    "建平",
    "海燕",
)


@dataclass(frozen=True)
class Staff:
    """All places of a bank and who holds each from which day on.

    Places are numbered: staff of the branches first, then managers by team, sub-branch and seat (0 is the senior's).
    `starts` is the first day of every holder, shape (places, holders); a holder stays until the next one comes.
    """

    branch: IntegerArray
    role: IntegerArray
    seat: IntegerArray
    starts: IntegerArray
    first_manager: int

    def holder(self, places: IntegerArray, day: IntegerArray | int) -> IntegerArray:
        """Who holds each place on a day, as position in the order of the holders."""
        starts = self.starts[places]
        days = np.broadcast_to(np.asarray(day), places.shape)
        holder: IntegerArray = (starts <= days[:, None]).sum(axis=1) - 1
        return holder

    def manager_place(self, numbers: IntegerArray, branch: IntegerArray, seat: IntegerArray, size: int) -> IntegerArray:
        """Place of the manager of customers.

        Parameters
        ----------
        numbers, branch
            Life number and branch of each.
        seat
            0 for the senior of the team, 1 for the other.
        size
            Life numbers per team.
        """
        of_branch = np.searchsorted(np.array(SUB_BRANCHES), branch)
        return self.first_manager + ((numbers // size) * len(SUB_BRANCHES) + of_branch) * 2 + seat

    def lobby_place(self, branch: IntegerArray) -> IntegerArray:
        """Place of the lobby manager of a sub-branch."""
        lobby = np.flatnonzero(self.role == _LOBBY)
        place = np.zeros(len(BRANCH_IDS), np.int64)
        place[self.branch[lobby]] = lobby
        return place[branch]


def staff_of(seed: int, largest_number: int, parameters: Parameters) -> Staff:
    """All places of a bank.

    Parameters
    ----------
    seed, parameters
        Of the bank.
    largest_number
        Life number of its last customer.
    """
    further = parameters.further
    levels = [
        "head_office" if name == "B000" else "branch" if name.endswith("00") else "sub_branch" for name in BRANCH_IDS
    ]
    places = [(branch, role) for branch, level in enumerate(levels) for role in _STAFF[level]]
    teams = largest_number // further.numbers_per_team + 1
    managers = teams * len(SUB_BRANCHES) * 2
    branch = np.concatenate([[row[0] for row in places], np.tile(np.repeat(SUB_BRANCHES, 2), teams)])
    role = np.concatenate([[row[1] for row in places], np.full(managers, _MANAGER)])
    seat = np.concatenate([np.full(len(places), -1), np.tile([0, 1], managers // 2)])
    years = np.where(seat >= 0, further.manager_years, further.staff_years)
    draws = Draws(seed, "employees", np.arange(len(branch)))
    stays = np.empty((len(branch), _MOST_HOLDERS))
    for holder in range(_MOST_HOLDERS):
        stays[:, holder] = further.shortest_stay_years - (years - further.shortest_stay_years) * np.log(
            draws.uniform("stay", counter=holder)
        )
    ends = _EPOCH + np.floor(np.cumsum(stays, axis=1) * _DAYS_PER_YEAR).astype(np.int64)
    # The first holders were there before anything is known of, but not before their branch.
    before = np.maximum(_EPOCH - 1 - draws.integer("before", 3_650), BRANCH_OPENED[branch])
    starts = np.concatenate([before[:, None], ends[:, :-1]], axis=1)
    return Staff(branch.astype(np.int64), role.astype(np.int64), seat.astype(np.int64), starts, len(places))


def employee_ids(place: IntegerArray, holder: IntegerArray, encoded: bool = True) -> pa.Array:
    """Ids of employees; a negative place is a null.

    Examples
    --------
    >>> employee_ids(np.array([12, -1]), np.array([3, 0])).to_pylist()
    ['E1000001203', None]
    """
    codes, which = np.unique(np.where(place >= 0, place * 100 + holder, -1), return_inverse=True)
    texts = pa.array([f"E{10_000_000_00 + code}" if code >= 0 else "" for code in codes.tolist()], pa.string())
    # The words differ already, so that they need not be searched for doubles as `strings` does: there may be many.
    indices = pa.array(which.astype(np.int32), mask=None if (place >= 0).all() else place < 0)
    column = pa.DictionaryArray.from_arrays(indices, texts)
    return column if encoded else column.dictionary_decode()


def employees_table(staff: Staff, seed: int, parameters: Parameters, first_day: int, last_day: int) -> pa.Table:
    """Versions of everybody employed at some time from one day to another: hired, graded anew, left.

    Parameters
    ----------
    staff, seed, parameters
        Of the bank.
    first_day, last_day
        Of the window.
    """
    ends = np.concatenate([staff.starts[:, 1:] - 1, np.full((len(staff.starts), 1), 1 << 40)], axis=1)
    place, holder = np.nonzero((staff.starts <= last_day) & (ends >= first_day))
    start, end = staff.starts[place, holder], ends[place, holder]
    draws = Draws(seed, "employees", place * 100 + holder + (1 << 40))
    surname, given = draws.integer("surname", len(_SURNAMES)), draws.integer("given", len(_GIVEN))
    # Versions: employee, grade (position, -1 for none), whether it is the one that says he left, day.
    versions: list[tuple[int, int, bool, int]] = []
    reviews = [Month(year * 12 + 3).first_day for year in range(FIRST_YEAR - 10, LAST_YEAR + 1)]
    chances = np.stack([draws.uniform("review", counter=year) for year in range(len(reviews))])
    begins = draws.uniform("first grade")
    for person, seat in enumerate(staff.seat[place].tolist()):
        grade = -1
        if seat >= 0:
            choices = _FIRST_GRADES[seat]
            grade = choices[int(begins[person] * len(choices))]
        versions.append((person, grade, False, int(start[person])))
        for year, day in enumerate(reviews if seat >= 0 else []):
            if not start[person] + 180 <= day <= min(int(end[person]), last_day):
                continue
            chance = chances[year, person]
            promoted, demoted = parameters.further.promoted, parameters.further.demoted
            changed = max(grade - 1, 0) if chance < promoted else grade + 1 if chance > 1 - demoted else grade
            changed = min(changed, len(GRADES) - 1)
            if changed != grade:
                grade = changed
                versions.append((person, grade, False, day))
        if end[person] <= last_day:
            versions.append((person, grade, True, int(end[person])))
    who, graded, on = (np.array([version[part] for version in versions], np.int64) for part in (0, 1, 3))
    left = np.array([version[2] for version in versions])
    limits = np.rint(np.array([*parameters.further.discount_limits, 0.0]) * 1e8).astype(np.int64)
    seconds = on * 86_400 + np.where(left, 18, 8) * 3600
    return pa.table(
        {
            "source_system": strings(["hr"], np.zeros(len(who), np.int64)),
            "employee_id": employee_ids(place[who], holder[who], encoded=False),
            "name": joined(strings(list(_SURNAMES), surname[who]), strings(_GIVEN, given[who])),
            "branch_id": strings(BRANCH_IDS, staff.branch[place[who]]),
            "role": strings(ROLES, staff.role[place[who]]),
            "grade": strings(GRADES, graded),
            "discount_limit": decimals(limits[graded], 12, 8, graded >= 0),
            "hired_on": dates(start[who]),
            "left_on": dates(on, left),
            "updated_at": timestamps(seconds - UTC_OFFSET_SECONDS),
        }
    )
