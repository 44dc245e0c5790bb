"""The knowledge register: every finding as a row, from hypothesis over its tests and an expert's verdict to expiry.

Belongs here: what a finding's status is, given its tests and the verdicts about it. Does not belong here: the tests
(each miner's own room), and where verdicts are kept.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

__all__ = ["FINDING_COLUMNS", "REGISTER_COLUMNS", "SHOWN", "STATUSES", "VERDICTS", "register"]

VERDICTS = ("confirmed", "contradicts_fact", "trivial", "not_actionable")
"""What an expert may say: only what is confirmed stays knowledge."""

STATUSES = ("killed", "verified", "confirmed", "rejected", "expired", "gone")
"""
killed: a test was not stood. verified: all were, nobody judged yet. confirmed, rejected: an expert's verdict, in force.
expired: the verdict is too old, somebody should judge again. gone: judged once, and not found any more.
"""
SHOWN = ("verified", "confirmed")
"""What readers are shown by default."""

FINDING_COLUMNS = {
    "knowledge_id": "str",
    "kind": "str",
    "task": "str",
    "run_id": "str",
    "statement_en": "str",
    "statement_zh": "str",
    "effect": "float64",
    "adjusted_p_value": "float64",
    "holdout_effect": "float64",
    "holdout_adjusted_p_value": "float64",
    "strata_effect": "float64",
    "strata_effect_lower": "float64",
    "is_reversed": "bool",
    "reversed_within": "str",
    "next_period": "str",
    "next_period_effect": "float64",
    "killed_by": "str",
    "is_verified": "bool",
}
"""What a miner says of each of its findings, verified or not."""

REGISTER_COLUMNS = {
    **FINDING_COLUMNS,
    "status": "str",
    "is_shown": "bool",
    "verdict": "str",
    "verdict_reason": "str",
    "judged_as_of": "object",
    "expires_on": "object",
}
"""The register: the finding, and what became of it. The last two are dates."""


def register(findings: pd.DataFrame, verdicts: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Return every finding with its status.

    Parameters
    ----------
    findings : DataFrame
        `FINDING_COLUMNS`, one row per finding of this run.
    verdicts : DataFrame
        In the order in which they were given: ``knowledge_id``, ``kind``, ``task``, ``statement_en``,
        ``statement_zh``, ``verdict``, ``reason``, ``judged_as_of``, ``expires_on``. The last one about a finding, of
        those given up to the date, counts.
    as_of : date
        The date; a verdict given about a later state of the bank is not known yet, one that expires on it or before
        is expired.

    Notes
    -----
    A verdict does not bring back what a test killed: who confirms a statement that the numbers contradict should look
    at it again, and finds both in the row.

    Examples
    --------
    >>> found = pd.DataFrame({"knowledge_id": ["a", "b"], "is_verified": [True, False], "killed_by": [None, "strata"]})
    >>> said = {"knowledge_id": "a", "verdict": "trivial", "judged_as_of": date(2025, 1, 31)}
    >>> said = pd.DataFrame([said | {"expires_on": date(2026, 1, 31)}])
    >>> register(found, said, date(2025, 6, 30))["status"].tolist()
    ['rejected', 'killed']
    >>> register(found, said, date(2026, 1, 31))["status"].tolist()
    ['expired', 'killed']
    >>> register(found, said, date(2024, 12, 31))["status"].tolist()
    ['verified', 'killed']
    """
    names = ["knowledge_id", "kind", "task", "statement_en", "statement_zh", "verdict", "reason"]
    known = verdicts.reindex(columns=[*names, "judged_as_of", "expires_on"])
    is_known = np.array([day <= as_of for day in known["judged_as_of"]], dtype=bool)
    known = known[is_known].drop_duplicates("knowledge_id", keep="last")
    said = known.set_index("knowledge_id")
    rows = findings.reindex(columns=list(FINDING_COLUMNS))
    judged = said.reindex(rows["knowledge_id"])
    for name, source in (("verdict", "verdict"), ("verdict_reason", "reason"), ("judged_as_of", "judged_as_of")):
        rows[name] = judged[source].to_numpy()
    rows["expires_on"] = judged["expires_on"].to_numpy()
    has_verdict = rows["verdict"].notna().to_numpy()
    is_old = np.array([isinstance(day, date) and day <= as_of for day in rows["expires_on"]], dtype=bool)
    rows["status"] = np.select(
        [
            ~rows["is_verified"].fillna(False).to_numpy(dtype=bool),
            has_verdict & is_old,
            has_verdict & (rows["verdict"] == "confirmed").to_numpy(),
            has_verdict,
        ],
        ["killed", "expired", "confirmed", "rejected"],
        default="verified",
    )
    lost = known[~known["knowledge_id"].isin(rows["knowledge_id"])].rename(columns={"reason": "verdict_reason"})
    if len(lost):
        lost = lost.reindex(columns=list(REGISTER_COLUMNS)).assign(status="gone", is_verified=False, is_reversed=False)
        rows = pd.concat([rows, lost.astype({"run_id": object})], ignore_index=True)
    rows["is_shown"] = rows["status"].isin(SHOWN)
    for name in ("is_verified", "is_reversed"):
        rows[name] = [value is True or value is np.True_ for value in rows[name]]
    return rows[list(REGISTER_COLUMNS)].sort_values(["task", "knowledge_id"], ignore_index=True)
