"""The page about the sample bank shows what the generator does."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from warehouse.sample_bank.affinities import lift
from warehouse.sample_bank.further_parameters import CONTACT_TRIGGERS
from warehouse.sample_bank.leaving import DRIVERS
from warehouse.sample_bank.parameters import AFFINITIES, DEFAULT_PARAMETERS, GROUPS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sample_bank.md"


def test_the_examples_on_the_page_give_what_it_shows() -> None:
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted >= 10
    assert results.failed == 0


@pytest.mark.parametrize("group", GROUPS, ids=[group.name for group in GROUPS])
def test_the_page_states_the_groups_as_they_are(group: object) -> None:
    (row,) = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {group.name} ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == f"{group.share:.0%}".replace("%", " %")
    assert int(cells[2]) == int(group.age[0])
    assert [int(cell.replace(",", "")) for cell in cells[3:5]] == [group.income[0], group.wealth[0]]


def test_the_page_states_every_link_and_every_driver() -> None:
    text = PAGE.read_text(encoding="utf-8")
    stated = {
        tuple(map(float, found)) for found in re.findall(r"\| \**([\d.]+)\** \| ([\d.]+) \| \**([\d.]+)\** \|", text)
    }
    for link in AFFINITIES:
        pair = (link.antecedent, link.consequent)
        assert tuple(round(lift(*pair, strata), 2) for strata in ("population", "group", "age_band")) in stated
    coefficients = [float(value) for value in re.findall(r"\| (-?\d\.\d+) \|", text)]
    for name in DRIVERS:
        assert getattr(DEFAULT_PARAMETERS.hazard, name) in coefficients
    assert f"x is {DEFAULT_PARAMETERS.hazard.intercept}" in text


@pytest.mark.parametrize("trigger", CONTACT_TRIGGERS, ids=[trigger.name for trigger in CONTACT_TRIGGERS])
def test_the_page_states_the_effect_of_every_contact(trigger: object) -> None:
    (row,) = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {trigger.name} ")]
    cells = [cell.strip().strip("*") for cell in row.strip("|").split("|")]
    assert [float(cell.removesuffix(" %")) for cell in cells[1:3]] == [100 * trigger.managed, 100 * trigger.others]
    assert float(cells[3]) == trigger.effect


def test_the_page_states_the_commissions_and_faults_of_records() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    further = DEFAULT_PARAMETERS.further
    for name, (_, rate) in zip(
        ("daily wealth", "closed-end wealth", "mixed fund", "bond fund", "insurance"), further.commissions, strict=True
    ):
        assert f"{name} {100 * rate:.1f} %" in text
    for share in (further.name_typo, further.name_swapped, further.old_address, further.old_mobile):
        assert f"{share:.0%}".replace("%", " %") in text
