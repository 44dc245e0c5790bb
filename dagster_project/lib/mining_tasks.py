"""Mining tasks as files: a new question is a YAML file, not code; a mistake in it is told before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mining.association.baskets import BasketError
from mining.association.discovery import AssociationSettings
from mining.association.task import ATTRIBUTES, BASKET_KINDS, STRATA, MiningTask
from mining.association.verification import VerificationSettings
from mining.knowledge.interpretation import Unit, in_months
from warehouse.errors import UserError
from warehouse.yaml_file import Node, closest_names, read_yaml

if TYPE_CHECKING:
    from warehouse.sources.bank import Bank

SHIPPED_TASKS = Path(__file__).resolve().parents[1] / "tasks"
UNIT = Unit("persons", "位客户")

LONGEST_PERIOD = 120
"""Months: ten years, as long as the sample bank can be."""

Made = TypeVar("Made")

_BOUNDS = ("min_support", "min_count", "max_len", "max_consequent", "max_width", "max_itemsets", "min_confidence")
_SHARES = ("min_support", "min_confidence")
_TESTS = ("strata", "minimum_lift", "holdout_share", "false_discovery_rate")


def tasks_of(bank: Bank) -> list[MiningTask]:
    """The tasks of a bank by name: those shipped, and those in the folder `tasks` beside its mapping.

    Raises
    ------
    UserError
        A file does not fit; the message names file, line and key.
    """
    found: dict[str, MiningTask] = {}
    for folder in (SHIPPED_TASKS, bank.folder / "tasks"):
        here: dict[str, Path] = {}
        for file in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
            task = read_task(file)
            if task.name in here:
                raise UserError(
                    "two tasks have one name",
                    where=str(file),
                    found=f"task: {task.name}, also in {here[task.name].name}",
                    next_step="give each task a name of its own",
                )
            here[task.name] = file
            found[task.name] = task
    return [found[name] for name in sorted(found)]


def read_task(file: Path) -> MiningTask:
    """Read one task.

    Raises
    ------
    UserError
        It does not fit; the message names file, line and key, what stands there and what is valid.
    """
    root = read_yaml(file)
    fields = root.fields(["task", "owner", "problem", "baskets", "bounds", "target"], ["population", "tests"])
    name = fields["task"].as_text()
    if not name.isidentifier() or not name.isascii():
        raise fields["task"].error("a task's name is one word", valid="letters, digits and _, not a digit first")
    problem = fields["problem"].fields(["en", "zh"])
    baskets = fields["baskets"].fields(["of"], ["months"])
    target = fields["target"].fields(["verified_rules"])
    tests = fields["tests"].fields((), _TESTS) if "tests" in fields else {}
    strata = _attributes(tests["strata"]) if "strata" in tests else STRATA
    population = {}
    for attribute, values in fields["population"].as_named() if "population" in fields else ():
        population[_attribute(attribute, values)] = values.as_texts()
        if not values.as_texts():
            raise values.error("at least one value is needed here", valid="[a, b], or no line for everybody")
    kind = baskets["of"].as_one_of(BASKET_KINDS)
    months = _months(baskets["months"]) if "months" in baskets else 6
    rate = (
        {"false_discovery_rate": _number(tests["false_discovery_rate"], most=1.0)}
        if "false_discovery_rate" in tests
        else {}
    )
    return MiningTask(
        name=name,
        owner=fields["owner"].as_text(),
        problem_en=problem["en"].as_text(),
        problem_zh=problem["zh"].as_text(),
        baskets=kind,
        months=months,
        population=population,
        settings=_settings(
            fields["bounds"], name, unit=UNIT if kind == "holdings" else opening_lists(months), rate=rate
        ),
        strata=strata,
        verification=_valid(
            fields.get("tests", root),
            lambda: VerificationSettings(
                **{key: _number(tests[key]) for key in ("minimum_lift", "holdout_share") if key in tests}, **rate
            ),
        ),
        target_verified=target["verified_rules"].as_integer(0),
        stated_in=str(file),
    )


@contextmanager
def saying_where(task: MiningTask) -> Iterator[None]:
    """Tell a mistake that shows only when a task meets its data by the file of the task.

    Raises
    ------
    UserError
        Instead of a `BasketError`.
    """
    try:
        yield
    except BasketError as error:
        raise UserError(
            "this mining task cannot be run", where=task.stated_in, found=str(error), next_step="correct the file"
        ) from error


def opening_lists(months: int) -> Unit:
    """What a basket of openings is called: who opened a product in the months may hold others longer."""
    return Unit(f"lists of what a person opened in {in_months(months)}", f"份{months}个月新开清单")


def _settings(bounds: Node, name: str, *, unit: Unit, rate: dict[str, float]) -> AssociationSettings:
    given = bounds.fields((), (*_BOUNDS, "minimum_baskets"))
    if ("min_support" in given) == ("min_count" in given):
        raise bounds.error(
            "exactly one bound of frequency is needed here",
            valid="min_support (a share of the baskets) or min_count (a number of baskets)",
        )
    values = {key: _number(node, most=1.0) if key in _SHARES else node.as_integer(1) for key, node in given.items()}
    if values.get("min_support") == 0.0:
        raise given["min_support"].error("a share above 0 is expected here", valid="for example 0.01")
    return _valid(bounds, lambda: AssociationSettings(basket=name, unit=unit, **values, **rate))  # type: ignore[arg-type]


def _attributes(node: Node) -> tuple[str, ...]:
    names = tuple(one.as_one_of(ATTRIBUTES) for one in node.as_list())
    if not names or len(set(names)) < len(names):
        raise node.error("at least one attribute is needed here, each once", valid=", ".join(ATTRIBUTES))
    return names


def _attribute(name: str, node: Node) -> str:
    if name not in ATTRIBUTES:
        raise UserError(
            "persons have no such attribute",
            where=node.where,
            found=repr(name),
            valid=closest_names(name, ATTRIBUTES),
            next_step="correct the name or remove it",
        )
    return name


def _months(node: Node) -> int:
    months = node.as_integer(1)
    if months > LONGEST_PERIOD:
        raise node.error("a period this long is not looked at", valid=f"1 to {LONGEST_PERIOD} months")
    return months


def _number(node: Node, most: float | None = None) -> float:
    try:
        value = float(node.as_text())
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= (most or 1e9):
        raise node.error("a number is expected here", valid=f"0 to {most or 'any'}, for example 0.05")
    return value


def _valid(node: Node, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except BasketError as error:
        raise node.error(str(error)) from error
