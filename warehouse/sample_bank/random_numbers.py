"""Random numbers that are looked up, not drawn: each is a hash of (seed, stream, customer, month, tag, counter).

A draw does not depend on which other customers or months are generated, nor in which order. So a prefix of the
customers, a slice of them and one more month all agree with the whole bank, number by number.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

IntegerArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BooleanArray = npt.NDArray[np.bool_]
_Hashes = npt.NDArray[np.uint64]

#: The month of draws that hold for a customer's whole life.
WHOLE_LIFE = 0

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def _mix(values: _Hashes) -> _Hashes:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014): a bijection of 64 bits with full avalanche."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


@lru_cache(maxsize=4096)
def _word(text: str) -> np.uint64:
    """64 bits that stand for a name."""
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


class Draws:
    """The random numbers of given customers in one month of one stream.

    Parameters
    ----------
    seed
        The seed of the bank; any integer from 0 to 2**63 - 1.
    stream
        The table or part of the model the numbers are for; streams are independent of each other.
    customers
        Numbers of the customers (or of any other things that are numbered), one per element of every draw.
    month
        Calendar month as year x 12 + month - 1, or `WHOLE_LIFE`.

    Examples
    --------
    >>> everyone = Draws(1, "salary", np.arange(1000), 24288)
    >>> only_17 = Draws(1, "salary", np.array([17]), 24288)
    >>> bool(everyone.uniform("amount")[17] == only_17.uniform("amount")[0])
    True
    """

    def __init__(self, seed: int, stream: str, customers: npt.ArrayLike, month: int = WHOLE_LIFE) -> None:
        number = np.asarray(customers).astype(np.uint64)
        start = _word(f"{seed}/{stream}/{month}")
        self._base = _mix(_mix(number * _GOLDEN + start) + start)

    def __len__(self) -> int:
        return len(self._base)

    def _hashes(self, tag: str, rows: IntegerArray | None, counter: IntegerArray | int) -> _Hashes:
        base = self._base if rows is None else self._base[rows]
        step = np.atleast_1d(np.asarray(counter)).astype(np.uint64) * _GOLDEN + _word(tag)
        return _mix(base ^ _mix(step))

    def integer(
        self, tag: str, below: int, rows: IntegerArray | None = None, counter: IntegerArray | int = 0
    ) -> IntegerArray:
        """Integers from 0 to `below` - 1, uniform to within 2**-40 for the small bounds used here."""
        return np.floor(self.uniform(tag, rows, counter) * below).astype(np.int64)

    def uniform(self, tag: str, rows: IntegerArray | None = None, counter: IntegerArray | int = 0) -> FloatArray:
        """Uniform numbers strictly between 0 and 1.

        Parameters
        ----------
        tag
            What the number is for; different tags are independent.
        rows
            Positions among the customers; all when absent. A position may occur more than once.
        counter
            Which of several numbers with the same tag, one per row or one for all.
        """
        hashes = self._hashes(tag, rows, counter)
        uniform: FloatArray = ((hashes >> np.uint64(11)).astype(np.float64) + 0.5) * _TO_UNIT
        return uniform

    def normal(self, tag: str, rows: IntegerArray | None = None, counter: IntegerArray | int = 0) -> FloatArray:
        """Standard normal numbers, by the inverse of the distribution function."""
        normal: FloatArray = ndtri(self.uniform(tag, rows, counter))
        return normal

    def happens(
        self,
        tag: str,
        probability: FloatArray | float,
        rows: IntegerArray | None = None,
        counter: IntegerArray | int = 0,
    ) -> BooleanArray:
        """Whether an event of this probability happens."""
        happens: BooleanArray = self.uniform(tag, rows, counter) < probability
        return happens

    def poisson(self, tag: str, mean: FloatArray, rows: IntegerArray | None = None, most: int = 12) -> IntegerArray:
        """Poisson counts by inversion, cut at `most` (the means here are below 4)."""
        uniform = self.uniform(tag, rows)
        count = np.zeros(len(uniform), np.int64)
        term = np.exp(-mean)
        cumulated = term.copy()
        for step in range(1, most + 1):
            above = uniform > cumulated
            if not above.any():
                break
            count += above
            term = term * mean / step
            cumulated += term
        return count


def keyed_bijection(seed: int, name: str, numbers: npt.ArrayLike) -> IntegerArray:
    """Numbers below 2**32 in a secret order: no two become one, and nothing shows which stood beside which.

    A Feistel network of eight rounds over two halves of 16 bits, each round keyed by seed and name.

    Examples
    --------
    >>> shuffled = keyed_bijection(1, "cards", np.arange(1000))
    >>> len(np.unique(shuffled)), bool((np.diff(shuffled) > 0).all())
    (1000, False)
    """
    values = np.asarray(numbers).astype(np.uint64)
    low = np.uint64(0xFFFF)
    left, right = values >> np.uint64(16), values & low
    for step in range(8):
        left, right = right, left ^ (_mix(right * _GOLDEN + _word(f"{seed}/{name}/{step}")) & low)
    return ((left << np.uint64(16)) | right).astype(np.int64)


def stable_seed(seed: int, *names: object) -> int:
    """A further seed for a purpose, e.g. one of many futures: a hash of the seed and the names."""
    return int(_word("/".join(str(name) for name in (seed, *names)))) >> 1
