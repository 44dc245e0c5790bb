"""How loyal each customer is, from the measures the delivered columns allow, and whether that means anything.

`fit` gives the index with its proof; `compared_weights` and `entropy_weights` are the weightings.
"""

from mining.loyalty.index import Level, LoyaltyResult, Settings, fit
from mining.loyalty.measures import MEASURES, Measure
from mining.loyalty.weights import Comparison, compared_weights, default_judgements, entropy_weights

__all__ = [
    "MEASURES",
    "Comparison",
    "Level",
    "LoyaltyResult",
    "Measure",
    "Settings",
    "compared_weights",
    "default_judgements",
    "entropy_weights",
    "fit",
]
