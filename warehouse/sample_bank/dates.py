"""Months, days and Chinese holidays as integers: days since 1970-01-01, months as year x 12 + month - 1."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

#: First day of the Chinese year (Spring Festival), from the almanac; the years a bank may be generated for.
SPRING_FESTIVAL = {
    day.year: day
    for day in (
        date(2000, 2, 5),
        date(2001, 1, 24),
        date(2002, 2, 12),
        date(2003, 2, 1),
        date(2004, 1, 22),
        date(2005, 2, 9),
        date(2006, 1, 29),
        date(2007, 2, 18),
        date(2008, 2, 7),
        date(2009, 1, 26),
        date(2010, 2, 14),
        date(2011, 2, 3),
        date(2012, 1, 23),
        date(2013, 2, 10),
        date(2014, 1, 31),
        date(2015, 2, 19),
        date(2016, 2, 8),
        date(2017, 1, 28),
        date(2018, 2, 16),
        date(2019, 2, 5),
        date(2020, 1, 25),
        date(2021, 2, 12),
        date(2022, 2, 1),
        date(2023, 1, 22),
        date(2024, 2, 10),
        date(2025, 1, 29),
        date(2026, 2, 17),
        date(2027, 2, 6),
        date(2028, 1, 26),
        date(2029, 2, 13),
        date(2030, 2, 3),
        date(2031, 1, 23),
        date(2032, 2, 11),
        date(2033, 1, 31),
        date(2034, 2, 19),
        date(2035, 2, 8),
        date(2036, 1, 28),
        date(2037, 2, 15),
        date(2038, 2, 4),
        date(2039, 1, 24),
        date(2040, 2, 12),
    )
}
FIRST_YEAR = min(SPRING_FESTIVAL)
LAST_YEAR = max(SPRING_FESTIVAL)

_EPOCH = date(1970, 1, 1).toordinal()
_SATURDAY = 5
_FIVE_DAYS_OF_LABOUR_SINCE = 2020


def day_number(day: date) -> int:
    """Days since 1970-01-01.

    Examples
    --------
    >>> day_number(date(1970, 1, 11))
    10
    """
    return day.toordinal() - _EPOCH


def month_number(day: date) -> int:
    """Calendar month as year x 12 + month - 1.

    Examples
    --------
    >>> month_number(date(2024, 1, 31)) - month_number(date(2023, 12, 1))
    1
    """
    return day.year * 12 + day.month - 1


@lru_cache(maxsize=256)
def public_holidays(year: int) -> frozenset[int]:
    """Days off beside weekends: New Year, Spring Festival from its eve, Labour Day and National Day.

    Labour Day has five days since 2020 and three before. Qingming, Dragon Boat and Mid-Autumn follow from no date that
    is known here and are working days, and so are weekends that a year's decree makes up for a holiday.

    Examples
    --------
    >>> [str(date.fromordinal(day + _EPOCH)) for day in sorted(public_holidays(2019))[:2]]
    ['2019-01-01', '2019-02-04']
    >>> len(public_holidays(2024)), len(public_holidays(2019))
    (21, 19)
    """
    labour = 5 if year >= _FIVE_DAYS_OF_LABOUR_SINCE else 3
    spans = [(date(year, 1, 1), 1), (date(year, 5, 1), labour), (date(year, 10, 1), 7)]
    days = {day_number(first) + step for first, length in spans for step in range(length)}
    if year in SPRING_FESTIVAL:
        festival = day_number(SPRING_FESTIVAL[year])
        days |= set(range(festival - 1, festival + 7))
    return frozenset(days)


def is_working_day(day: int) -> bool:
    """Whether a day (since 1970-01-01) is neither of a weekend nor a public holiday."""
    on = date.fromordinal(day + _EPOCH)
    return on.weekday() < _SATURDAY and day not in public_holidays(on.year)


@dataclass(frozen=True)
class Month:
    """One calendar month and what a bank must know of it."""

    number: int

    @property
    def year(self) -> int:
        """Calendar year."""
        return self.number // 12

    @property
    def of_year(self) -> int:
        """Month of the year, 1 to 12."""
        return self.number % 12 + 1

    @property
    def first_day(self) -> int:
        """Its first day, as days since 1970-01-01."""
        return day_number(date(self.year, self.of_year, 1))

    @property
    def days(self) -> int:
        """Number of days."""
        return calendar.monthrange(self.year, self.of_year)[1]

    @property
    def last_day(self) -> int:
        """Its last day, as days since 1970-01-01."""
        return self.first_day + self.days - 1

    @property
    def name(self) -> str:
        """Year and month, e.g. `2024-02`."""
        return f"{self.year:04d}-{self.of_year:02d}"

    @property
    def is_quarter_end(self) -> bool:
        """Whether demand interest is paid in it (on the 20th of the last month of a quarter)."""
        return self.of_year % 3 == 0

    @property
    def spring_festival(self) -> int | None:
        """Day of the month (0-based) of the Chinese New Year, None in other months."""
        day = SPRING_FESTIVAL[self.year]
        return day.day - 1 if day.month == self.of_year else None

    @property
    def is_before_spring_festival(self) -> bool:
        """Whether it is the month before that of the Chinese New Year: the thirteenth salary is paid."""
        following = Month(self.number + 1)
        return following.year in SPRING_FESTIVAL and following.spring_festival is not None

    def working_day(self, day: int) -> int:
        """The day of the month (0-based) itself or the last working day before it: when salaries are paid.

        Where the month has none before it, the first after it: books are kept month by month.

        Examples
        --------
        >>> Month(2024 * 12 + 5).working_day(14)  # 15 June 2024 is a Saturday
        13
        >>> Month(2024 * 12 + 9).working_day(4)  # 5 October 2024 is in the holidays that begin on the first
        7
        """
        day = min(day, self.days - 1)
        before = [number for number in range(day, -1, -1) if is_working_day(self.first_day + number)]
        after = (number for number in range(day, self.days) if is_working_day(self.first_day + number))
        return before[0] if before else next(after)
