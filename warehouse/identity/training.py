"""Training: what agreement says at this bank, estimated from its own records without being told who is who.

Apart from prediction: a run only ever reads the model that was trained last, which is kept with the decisions.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import duckdb

from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.home import Home
from warehouse.identity import decisions, values
from warehouse.identity.linking import linker, quietly
from warehouse.identity.model import LEVELS, SHIPPED, Model, model_path, problem_of, read_model
from warehouse.sources.bank import Bank
from warehouse.vault.files import write_json

#: Pairs of records that are drawn at random to see how often strangers agree: what one in ten thousand pairs shares is
#: then seen a hundred times. Rarer things are not told by them: some of the pairs are one person, at a small bank one
#: in a hundred thousand, and would pass for strangers who agree. Those levels keep the value of the shipped weights.
RANDOM_PAIRS = 1e6
_RAREST_STRANGERS = 1e-4
#: What fewer than one of a thousand pairs of one person show was hardly seen: it keeps the shipped value too.
_RAREST_ALIKE = 1e-3
#: Linked pairs below which the estimates of a level seen in one of a hundred of them would be noise.
FEWEST_PAIRS = 500
#: Of the pairs that share a key at least so many must be of one person and of two, so that EM tells them apart; each
#: comparison is estimated among pairs brought together by something else.
_EM_BLOCKS = ("l.key_mobile = r.key_mobile", "l.key_birth = r.key_birth", "l.key_document = r.key_document")
_DIGITS = 10


def train(home: Home, bank: Bank, *, seed: int, reason: str, who: str) -> Model:
    """Estimate m and u of every level, and put the model in force for the next run.

    u are shares among random pairs, m those of expectation maximisation over blocked pairs (Splink). Levels that are
    too rare to be seen keep the shipped value, as do prior and threshold: they say how careful the bank wants to be.

    Parameters
    ----------
    home, bank
        The installation, and the bank whose warehouse it holds.
    seed
        Of the samples; the same records and seed give the same model.
    reason, who
        Kept with the decision.

    Raises
    ------
    UserError
        If too few records share anything, or the estimates do not hold together: the model in force then stays.
    """
    shipped = read_model(SHIPPED)
    with (
        open_warehouse(home.warehouse, bank.settings.resources, home.temporary) as connection,
        values.walls(home, bank) as inside,
    ):
        values.number_records(connection)
        values.gather(connection, inside, home, bank, who=who)
        # One thread: sums of floats come out in one order.
        inside.execute("set threads = 1")
        values.block(inside)
        model = estimate(inside, shipped, seed)
    problem = problem_of(model)
    if problem is not None:
        raise UserError(
            "the trained model does not hold together; the one in force stays",
            where="mainbank identity train",
            found=problem,
            valid="agreement that speaks for one person, and disagreement against it, in every comparison",
            next_step="train when the bank has more records, or keep the shipped weights",
        )
    path = model_path(home, bank.name)
    write_json(path, model.as_dictionary())
    decisions.land(home, bank.name, "train", model=model.name, seed=seed, reason=reason, who=who)
    return model


def estimate(inside: duckdb.DuckDBPyConnection, shipped: Model, seed: int) -> Model:
    """Estimate a model over the tables `node` and `candidate` of `values`.

    Raises
    ------
    UserError
        If too few pairs share a key.
    """
    keyed = " union all ".join(
        f"select count(*) from candidate as l inner join candidate as r on {rule} and l.record < r.record"
        for rule in _EM_BLOCKS
    )
    pairs = min(int(row[0]) for row in inside.execute(keyed).fetchall())
    if pairs < FEWEST_PAIRS:
        raise UserError(
            "too few records have anything in common to learn from; the model in force stays",
            where="raw.customers",
            found=f"{pairs:,} pairs that share a key of the rarest kind",
            valid=f"at least {FEWEST_PAIRS:,} of each kind",
            next_step="keep the shipped weights, which were made for this case",
        )
    return quietly("training", lambda: _fitted(inside, shipped, seed))


def _fitted(inside: duckdb.DuckDBPyConnection, shipped: Model, seed: int) -> Model:
    # Strangers are drawn among all persons, lookalikes among those who share something.
    strangers = _trained(inside, shipped, seed, table="stranger")
    alike = linker(inside, _with(shipped, strangers))
    for rule in _EM_BLOCKS:
        alike.training.estimate_parameters_using_expectation_maximisation(
            f"{rule} and l.record <> r.record", fix_u_probabilities=True
        )
    seen = {
        name: {
            level: {"m": stated["m"]} | strangers[name].get(level, {})
            for level, stated in levels.items()
            if stated["m"] >= _RAREST_ALIKE
        }
        for name, levels in _read(alike).items()
    }
    return _with(shipped, seen)


def _trained(inside: duckdb.DuckDBPyConnection, shipped: Model, seed: int, *, table: str) -> dict[str, Any]:
    keys = ", ".join(f"cast(null as varchar) as {key}" for key in values.KEYS)
    inside.execute(
        f"create or replace table {table} as select *, {keys} from node where party_type = 'personal' order by node"
    )
    drawn = linker(inside, shipped, table=table)
    drawn.training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS, seed=seed, min_count_per_level=None)
    return {
        name: {level: {"u": stated["u"]} for level, stated in levels.items() if stated["u"] >= _RAREST_STRANGERS}
        for name, levels in _read(drawn).items()
    }


def _read(trained: Any) -> dict[str, dict[str, dict[str, float]]]:
    """M and u of a linker by comparison and level."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for comparison in trained.misc.save_model_to_json()["comparisons"]:
        name = comparison["output_column_name"]
        found[name] = {
            level["label_for_charts"]: {kind: float(level.get(f"{kind}_probability") or 0.0) for kind in ("m", "u")}
            for level in comparison["comparison_levels"]
            if not level.get("is_null_level")
        }
    return found


def _with(shipped: Model, estimates: dict[str, Any]) -> Model:
    """The shipped model with estimates in place of what they cover, each comparison summing to one again."""

    def filled(kind: str, stated: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        result: dict[str, dict[str, float]] = {}
        for name in LEVELS:
            taken = {
                level: estimates.get(name, {}).get(level, {}).get(kind, value) for level, value in stated[name].items()
            }
            total = sum(taken.values())
            result[name] = {level: float(f"{value / total:.{_DIGITS}g}") for level, value in taken.items()}
        return result

    return dataclasses.replace(shipped, m=filled("m", shipped.m), u=filled("u", shipped.u))
