"""Which products customers want together: a forest of links inside every group and age band, with its exact lifts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from warehouse.sample_bank.parameters import (
    AFFINITIES,
    AGE_BANDS,
    AGE_FACTORS,
    CURRENT,
    GROUPS,
    PRODUCT_COUNT,
    Affinity,
)
from warehouse.sample_bank.random_numbers import BooleanArray, Draws, FloatArray, IntegerArray

#: Antecedent link of each consequent.
LINKS: dict[int, Affinity] = {link.consequent: link for link in AFFINITIES}


def _forest_order() -> tuple[int, ...]:
    """Products with every antecedent before its consequents."""
    order: list[int] = []
    while len(order) < PRODUCT_COUNT:
        order += [
            product
            for product in range(PRODUCT_COUNT)
            if product not in order and (product not in LINKS or LINKS[product].antecedent in order)
        ]
    return tuple(order)


FOREST_ORDER = _forest_order()


@lru_cache(maxsize=1)
def wanted_shares() -> FloatArray:
    """Share of a group and age band that wants each product, shape (groups, age bands, products).

    Examples
    --------
    >>> wanted_shares().shape
    (8, 5, 16)
    """
    shares = np.empty((len(GROUPS), len(AGE_BANDS), PRODUCT_COUNT))
    for group_number, group in enumerate(GROUPS):
        for product, share in group.products.items():
            for band in range(len(AGE_BANDS)):
                shares[group_number, band, product] = share * AGE_FACTORS.get(product, (1.0,) * len(AGE_BANDS))[band]
    return shares


@lru_cache(maxsize=1)
def conditional_shares() -> FloatArray:
    """Share that wants a product given that its antecedent is not (0) or is (1) wanted.

    Shape (groups, age bands, products, 2). The share among those without the antecedent follows from the share of
    all, so that a link changes who wants a product and not how many: (P(b) - P(a) lift P(b)) / (1 - P(a)).
    """
    shares = wanted_shares()
    conditional = np.repeat(shares[..., None], 2, axis=-1)
    for product, link in LINKS.items():
        antecedent, consequent = shares[..., link.antecedent], shares[..., product]
        with_it = link.lift * consequent
        conditional[..., product, 1] = with_it
        conditional[..., product, 0] = (consequent - antecedent * with_it) / (1 - antecedent)
    if conditional.min() < 0 or conditional.max() > 1:
        raise ValueError("a planted lift is larger than the shares of its two products allow")
    return conditional


@lru_cache(maxsize=1)
def cell_weights() -> FloatArray:
    """Share of the population in each group and age band, shape (groups, age bands), at the age of joining."""
    weights = np.zeros((len(GROUPS), len(AGE_BANDS)))
    for number, group in enumerate(GROUPS):
        mean, deviation, youngest, oldest = group.age
        bounds = np.clip(np.array([0, *AGE_BANDS], float), youngest, oldest)
        cumulated = ndtr((bounds - mean) / deviation)
        lowest, highest = ndtr((youngest - mean) / deviation), ndtr((oldest - mean) / deviation)
        weights[number] = group.share * np.diff(cumulated) / (highest - lowest)
    return weights


def age_band(age: FloatArray) -> IntegerArray:
    """Position of the age band of each age in years."""
    return np.searchsorted(np.array(AGE_BANDS[:-1]), age, side="right").astype(np.int64)


def draw_wants(group: IntegerArray, band: IntegerArray, draws: Draws) -> BooleanArray:
    """Which products each customer wants, shape (products, customers), drawn down the forest.

    Parameters
    ----------
    group, band
        Group and age band of each customer.
    draws
        The customers' numbers for their whole life.
    """
    conditional = conditional_shares()[group, band]
    wants = np.zeros((PRODUCT_COUNT, len(group)), np.bool_)
    everyone = np.arange(len(group))
    for product in FOREST_ORDER:
        if product == CURRENT:
            wants[product] = True
            continue
        with_antecedent = wants[LINKS[product].antecedent].astype(np.int64) if product in LINKS else 0
        wants[product] = draws.happens(f"want {product}", conditional[everyone, product, with_antecedent])
    return wants


def _given(product: int, ancestor: int) -> FloatArray:
    """P(product wanted | ancestor not wanted, wanted), shape (groups, age bands, 2)."""
    if product == ancestor:
        certain = np.zeros((len(GROUPS), len(AGE_BANDS), 2))
        certain[..., 1] = 1.0
        return certain
    antecedent = _given(LINKS[product].antecedent, ancestor)
    conditional = conditional_shares()[:, :, product, :]
    given: FloatArray = antecedent * conditional[..., 1:] + (1 - antecedent) * conditional[..., :1]
    return given


def _ancestors(product: int) -> list[int]:
    chain = [product]
    while chain[-1] in LINKS:
        chain.append(LINKS[chain[-1]].antecedent)
    return chain


def joint_shares(first: int, second: int) -> FloatArray:
    """Share of each group and age band that wants both products, exactly, shape (groups, age bands)."""
    shares = wanted_shares()
    common = next((product for product in _ancestors(first) if product in _ancestors(second)), None)
    if common is None:
        independent: FloatArray = shares[..., first] * shares[..., second]
        return independent
    with_common = shares[..., common]
    one, other = _given(first, common), _given(second, common)
    joint: FloatArray = with_common * one[..., 1] * other[..., 1] + (1 - with_common) * one[..., 0] * other[..., 0]
    return joint


def lift(first: int, second: int, strata: str = "population") -> float:
    """Lift of two wants in the generating model: joint share over the product of the shares.

    Parameters
    ----------
    first, second
        Two products.
    strata
        `population`: of everybody. `group`, `age_band`, `cell` (both): the joint share over the joint share that
        independence inside every stratum would give, so that confounding by the stratum is out of it.

    Examples
    --------
    >>> from warehouse.sample_bank.parameters import GOLD, TERM_1Y
    >>> lift(TERM_1Y, GOLD) > 1.2, round(lift(TERM_1Y, GOLD, "cell"), 12)
    (True, 1.0)
    """
    weights, shares, joint = cell_weights(), wanted_shares(), joint_shares(first, second)
    together = float((weights * joint).sum())
    one, other = shares[..., first], shares[..., second]
    if strata == "population":
        return together / float((weights * one).sum() * (weights * other).sum())
    if strata == "cell":
        return together / float((weights * one * other).sum())
    axis = {"group": 1, "age_band": 0}[strata]
    size = weights.sum(axis=axis)
    expected = (weights * one).sum(axis=axis) * (weights * other).sum(axis=axis) / size
    return together / float(expected.sum())
