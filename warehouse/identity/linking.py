"""Which records are one person: by numbers that say so at once, then by Splink's model over blocked candidates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import pyarrow as pa

from warehouse.errors import UserError
from warehouse.identity.model import LEVELS, Model
from warehouse.identity.values import KEYS, block

if TYPE_CHECKING:
    from splink import Linker

Result = TypeVar("Result")
#: Two records that are one person, since when that is known, and why. Weights in bits; of a rule none.
LINKS = pa.schema(
    [
        ("left", pa.int64()),
        ("right", pa.int64()),
        ("known_on", pa.date32()),
        ("weight", pa.float64()),
        ("evidence", pa.string()),
    ]
)
SAME_DOCUMENT = "same document number"
SAME_MOBILE_AND_BIRTH = "same mobile and birth date"
SAME_FIRM_NAME = "same name of the firm"
#: Floats are kept to so many places: the last ones of a sum of logarithms depend on its order.
_PLACES = 6

#: A name that is not another's: the same sounds in any order, one said twice or left out, or none stated. Twins share
#: telephone and birth date, and often all of the name but one sound that differs.
_NAMES_GO_TOGETHER = """
    (
        l.sound_sorted is null or r.sound_sorted is null or l.sound_sorted = r.sound_sorted
        or (length(l.sound) <> length(r.sound) and levenshtein(l.sound, r.sound) <= 1
            and least(length(l.sound), length(r.sound)) >= 2)
    )
"""
#: Identity cards are for life: two different numbers, more than a slip apart, are two persons.
_NO_OTHER_CARD = """
    not coalesce(
        l.document_type = 'identity_card' and r.document_type = 'identity_card'
        and damerau_levenshtein(l.document, r.document) > 1, false
    )
"""
#: Twins share home, telephone, birth date, and of the name all but one sound; the model takes these for independent.
#: Of pairs that agree so far, about as many are twins as one person with a sound mistyped (1.5 % of births; a fifth of
#: the pairs of a household are siblings): only a document tells.
_NOT_TWINS = """
    not (
        length(l.sound) = length(r.sound) and l.sound_sorted <> r.sound_sorted
        and l.born is not distinct from r.born and not coalesce(damerau_levenshtein(l.document, r.document) <= 1, false)
    )
"""
#: A number that two persons unlike each other give, by name and by birth date, is made up or was copied.
#: Where a birth date is not stated, only an identity card, whose number is for life, speaks against the names.
_NOT_TWO_HOLDERS = f"""
    (
        l.party_type = 'corporate' or {_NAMES_GO_TOGETHER}
        or coalesce(l.born = r.born, l.document_type = 'identity_card')
    )
"""
#: Firms of one name are many (a trade and a town make most of it): a number, or else a telephone, an e-mail or a place
#: in common says that two are one.
_FIRM_IN_COMMON = """
    coalesce(l.document = r.document, l.mobile = r.mobile or l.email = r.email or l.address = r.address, false)
"""
_RULES = {
    SAME_DOCUMENT: (
        "l.document = r.document and l.document_type = r.document_type and l.party_type = r.party_type",
        _NOT_TWO_HOLDERS,
    ),
    SAME_MOBILE_AND_BIRTH: (
        "l.key_mobile = r.key_mobile and l.born = r.born",
        f"l.party_type = 'personal' and r.party_type = 'personal' and {_NAMES_GO_TOGETHER} and {_NO_OTHER_CARD}",
    ),
    SAME_FIRM_NAME: (
        "l.letters = r.letters",
        _FIRM_IN_COMMON,
    ),
}


def links(inside: duckdb.DuckDBPyConnection, model: Model) -> pa.Table:
    """Pairs of records that are one person.

    Parameters
    ----------
    inside
        Database of `values.walls` with table `node`.
    model
        What agreement says.

    Returns
    -------
    pyarrow.Table
        `LINKS`, each pair once, by the strongest evidence that was known first. No clear value is in it.
    """
    count = block(inside)
    found = [_by_rule(inside, rule) for rule in _RULES]
    if count:
        found.append(_by_model(inside, model))
    inside.register("found_arrow", pa.concat_tables(found))
    result = inside.sql(
        """
        from found_arrow
        qualify row_number() over (partition by "left", "right" order by known_on, weight desc, evidence) = 1
        order by known_on, weight desc, "left", "right"
        """
    ).to_arrow_table()
    inside.unregister("found_arrow")
    return result.cast(LINKS)


def _by_rule(inside: duckdb.DuckDBPyConnection, rule: str) -> pa.Table:
    same, condition = _RULES[rule]
    relation = {SAME_MOBILE_AND_BIRTH: "candidate", SAME_FIRM_NAME: "firm"}.get(rule, "node")
    # A rule says it without doubt: before any weight.
    return (
        inside.sql(
            f"""
        select
            cast(least(l.record, r.record) as bigint) as "left",
            cast(greatest(l.record, r.record) as bigint) as "right",
            min(greatest(l.known_on, r.known_on)) as known_on,
            cast('infinity' as double) as weight,
            '{rule}' as evidence
        from {relation} as l
        inner join {relation} as r on {same} and l.record < r.record
        where {condition}
        group by all
        """
        )
        .to_arrow_table()
        .cast(LINKS)
    )


def _by_model(inside: duckdb.DuckDBPyConnection, model: Model) -> pa.Table:
    def predict() -> str:
        predictions = linker(inside, model).inference.predict(
            threshold_match_weight=model.threshold_weight, warning_mode="never"
        )
        return str(predictions.physical_name)

    table = quietly("predictions", predict)
    said = " || ', ' || ".join(
        f"'{comparison.replace('_', ' ')} ' || case p.gamma_{comparison} "
        + " ".join(
            f"when {len(levels) - 1 - position} then '{level.replace('_', ' ')}'"
            for position, (level, _) in enumerate(levels)
        )
        + " else 'not known' end"
        for comparison, (_, levels) in LEVELS.items()
    )
    return (
        inside.sql(
            f"""
        select
            cast(least(l.record, r.record) as bigint) as "left",
            cast(greatest(l.record, r.record) as bigint) as "right",
            greatest(l.known_on, r.known_on) as known_on,
            round(p.match_weight, {_PLACES}) as weight,
            'model {model.name}, ' || round(p.match_weight, 1) || ' bits: ' || {said} as evidence
        from {table} as p
        inner join candidate as l on p.node_l = l.node
        inner join candidate as r on p.node_r = r.node
        -- another name is another person of the household, unless the document says otherwise: that is a rule
        where p.gamma_name <> 0 and {_NO_OTHER_CARD} and coalesce({_NOT_TWINS}, true)
        """
        )
        .to_arrow_table()
        .cast(LINKS)
    )


def linker(inside: duckdb.DuckDBPyConnection, model: Model, *, table: str = "candidate") -> Linker:
    """Splink over a table of `values`, with the probabilities of a model."""
    # Takes a third of a second to import: not where there is nothing to compare.
    from splink import DuckDBAPI, Linker, SettingsCreator  # noqa: PLC0415

    comparisons: list[Any] = [
        {
            "output_column_name": name,
            "comparison_levels": [
                {"sql_condition": silent, "label_for_charts": "not known", "is_null_level": True},
                *(
                    {
                        "sql_condition": sql,
                        "label_for_charts": level,
                        "m_probability": model.m[name][level],
                        "u_probability": model.u[name][level],
                    }
                    for level, sql in levels
                ),
            ],
        }
        for name, (silent, levels) in LEVELS.items()
    ]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="node",
        probability_two_random_records_match=model.prior,
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[
            {"blocking_rule": f"l.{key} = r.{key} and l.record <> r.record"} for key in KEYS
        ],
        # With them come the levels, which evidence names; the values stay inside and go with the table.
        retain_matching_columns=True,
    )
    database = DuckDBAPI(inside)
    return Linker(database.register(table), settings, log_level=None)


def quietly(step: str, work: Callable[[], Result]) -> Result:
    """Let Splink say nothing: its messages hold SQL and counts, the text of its errors may hold a value.

    Parameters
    ----------
    step
        What is done, for the error.
    work
        What Splink is to do.

    Raises
    ------
    UserError
        If it fails; nothing of the error but its kind is told, and it is no cause that a log could print.
    """
    from splink.internals.exceptions import SplinkException  # noqa: PLC0415

    logger = logging.getLogger("splink")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        return work()
    except (duckdb.Error, SplinkException) as error:
        kind = type(error).__name__
    finally:
        logger.setLevel(before)
    raise UserError(
        "comparing records failed inside the vault",
        where=f"identity: {step}",
        found=kind,
        valid="enough memory, and room in vault/spill",
        next_step="raise resources.memory_limit in bank.yml, or free space, and run again",
    )
