"""Table `branches`: one head office, city branches, sub-branches. The same for every bank."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from warehouse.sample_bank.columns import dates, nothing, strings
from warehouse.sample_bank.dates import day_number

#: City branches: city, region, number of sub-branches. Sizes follow the cities' rank only roughly.
CITIES = (
    ("上海", "上海市", 9),
    ("杭州", "浙江省", 7),
    ("苏州", "江苏省", 6),
    ("南京", "江苏省", 5),
    ("宁波", "浙江省", 5),
    ("合肥", "安徽省", 4),
)
_DISTRICTS = ("城东", "城西", "城南", "城北", "新区", "滨江", "高新", "湖滨", "火车站")


def _tree() -> list[tuple[str, str, str, str | None, str, str, int]]:
    """Rows: id, name, level, parent, city, region, day of opening."""
    # Early enough that the last sub-branch is there before the longest tenure of a window of today began.
    opened = day_number(date(1987, 4, 6))
    rows: list[tuple[str, str, str, str | None, str, str, int]] = [
        ("B000", "示例银行总行", "head_office", None, "上海", "上海市", opened)
    ]
    for number, (city, region, size) in enumerate(CITIES, start=1):
        parent = f"B{number}00"
        rows.append((parent, f"示例银行{city}分行", "branch", "B000", city, region, opened + 190 * number))
        rows += [
            (
                f"B{number}{position + 1:02d}",
                f"示例银行{city}{_DISTRICTS[position]}支行",
                "sub_branch",
                parent,
                city,
                region,
                opened + 190 * number + 150 * (position + 1),
            )
            for position in range(size)
        ]
    return rows


_ROWS = _tree()
BRANCH_IDS = tuple(row[0] for row in _ROWS)
BRANCH_CITIES = tuple(row[4] for row in _ROWS)
BRANCH_OPENED = np.array([row[6] for row in _ROWS])
BRANCH_REGIONS = tuple(row[5] for row in _ROWS)
#: Positions of the sub-branches, where customers are registered; larger cities have more.
SUB_BRANCHES = tuple(position for position, row in enumerate(_ROWS) if row[2] == "sub_branch")


def branches_table() -> pa.Table:
    """All rows of `branches`."""
    size = len(_ROWS)

    def text(column: int) -> pa.Array:
        return pa.array([row[column] for row in _ROWS], pa.string())

    return pa.table(
        {
            "source_system": strings(["core"], np.zeros(size, np.int64), encoded=False),
            "branch_id": text(0),
            "name": text(1),
            "level": text(2),
            "parent_branch_id": text(3),
            "city": text(4),
            "region": text(5),
            "opened_on": dates(BRANCH_OPENED),
            "closed_on": nothing(size, pa.date32()),
        }
    )
