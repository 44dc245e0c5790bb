"""Association mining: which items are held together, how sure that is, and what it says.

    >>> from mining import association
    >>> counted = {("card", "loan"): 30, ("card",): 20, ("loan",): 10, (): 40}
    >>> found = association.frequent_itemsets(counted, min_support=0.1)
    >>> rules = association.association_rules(found, 100, metric="lift", min_threshold=1.0, max_consequent=1)
    >>> [round(lift, 2) for lift in rules["lift"]]
    [1.5, 1.5]

The library knows baskets and items, nothing of banks, databases or orchestration.
"""

from mining.association.baskets import (
    BasketError,
    Baskets,
    PackedBaskets,
    merge_baskets,
    pack_baskets,
    read_baskets,
)
from mining.association.discovery import (
    PUBLISHED_COLUMNS,
    AssociationResult,
    AssociationSettings,
    mine_rules,
)
from mining.association.holdings import Holdings, months_before, read_holdings
from mining.association.itemsets import ItemsetsCutWarning, count_bound, frequent_itemsets
from mining.association.next_product import NextProductSettings, Period, eligible_products, periods_of, recommend
from mining.association.partitions import frequent_itemsets_of_parts
from mining.association.rules import association_rules
from mining.association.task import MiningTask, TaskResult, run_task
from mining.association.verification import VerificationSettings, verify_rules

__all__ = [
    "PUBLISHED_COLUMNS",
    "AssociationResult",
    "AssociationSettings",
    "BasketError",
    "Baskets",
    "Holdings",
    "ItemsetsCutWarning",
    "MiningTask",
    "NextProductSettings",
    "PackedBaskets",
    "Period",
    "TaskResult",
    "VerificationSettings",
    "association_rules",
    "count_bound",
    "eligible_products",
    "frequent_itemsets",
    "frequent_itemsets_of_parts",
    "merge_baskets",
    "mine_rules",
    "months_before",
    "pack_baskets",
    "periods_of",
    "read_baskets",
    "read_holdings",
    "recommend",
    "run_task",
    "verify_rules",
]
