"""The page about association mining shows what the library does."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "association.md"
PUBLIC_DATA = "## Groceries"


def failures(text: str, **names: object) -> tuple[int, int]:
    """Return how many examples failed (each is printed) and how many there were."""
    examples = doctest.DocTestParser().get_doctest(text, names, "docs/association.md", str(PAGE), 0)
    results = doctest.DocTestRunner().run(examples)
    return results.failed, results.attempted


def test_the_examples_on_the_page_give_what_it_shows() -> None:
    failed, attempted = failures(PAGE.read_text(encoding="utf-8").split(PUBLIC_DATA)[0])
    assert failed == 0
    assert attempted >= 15


def test_the_groceries_example_gives_what_the_page_shows(shared_data: Path) -> None:
    _, example = PAGE.read_text(encoding="utf-8").split(PUBLIC_DATA)
    text = ">>> from mining import association\n" + example
    failed, attempted = failures(text, groceries=str(shared_data / "groceries" / "groceries.csv"))
    assert failed == 0
    assert attempted >= 7
