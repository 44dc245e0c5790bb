"""A sample of landed rows is of use to who operates the warehouse, and leads to nobody."""

from __future__ import annotations

from pathlib import Path

from small_bank import write_bank, write_data

from warehouse.home import Home
from warehouse.landed_sample import masked_rows
from warehouse.landing import land
from warehouse.sources.bank import load_bank


def test_a_sample_shows_values_of_no_person_and_masks_keys_and_what_is_personal(tmp_path: Path) -> None:
    bank, home = load_bank(write_bank(tmp_path / "bank")), Home(tmp_path / "home")
    landed = {result.entry.source: result.entry for result in land(bank, write_data(tmp_path / "data"), home)}
    person, other = masked_rows(home, bank.mapping.sources["person"], landed["person"])
    assert (person["person_id"], person["sex"], person["branch_id"], person["joined_on"]) == (
        "1*",
        "M*",
        "1*",
        "2020-01-05",
    )
    assert person["income"] != "1000.00"
    assert "*" in person["income"]
    shown = " ".join([*person.values(), *other.values()])
    assert "Zhang" not in shown
    assert "Li Si" not in shown
    (posting,) = masked_rows(home, bank.mapping.sources["posting"], landed["posting"], rows=1)
    assert (posting["posting_id"], posting["amount"], posting["_known_on"]) == ("1*", "50.00", "2021-03-02")
    assert "62220001" not in posting["other_side"]
