"""The pages about the miners of customers show what the library does."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(("page", "fewest"), [("segmentation", 8), ("loyalty", 8), ("churn", 12)])
def test_the_examples_on_the_page_give_what_it_shows(page, fewest):
    results = doctest.testfile(str(DOCS / f"{page}.md"), module_relative=False)
    assert results.attempted >= fewest
    assert results.failed == 0
