"""The pictures of the page about the sample bank: each is there, and the same bank gives the same bytes."""

from __future__ import annotations

import re
from pathlib import Path

from warehouse.sample_bank.generate import generate
from warehouse.sample_bank.pictures import DOCUMENTED, PICTURES, draw

PAGE = DOCUMENTED.parent / "sample_bank.md"


def test_the_page_shows_every_picture() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(images/(sample_bank_\w+\.png)\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(f"sample_bank_{name}.png" for name in PICTURES)
    for name in shown:
        assert (DOCUMENTED / name).read_bytes().startswith(b"\x89PNG")


def test_the_same_bank_gives_the_same_pictures(tmp_path: Path) -> None:
    generate(tmp_path / "bank", customers=400, months=3, truth_dir=tmp_path / "truth")
    first = draw(tmp_path / "bank", tmp_path / "truth", tmp_path / "one")
    second = draw(tmp_path / "bank", tmp_path / "truth", tmp_path / "two")
    assert len(first) == len(PICTURES)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
