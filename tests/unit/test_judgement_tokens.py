"""Tokens that are looked up are the tokens that would be made."""

from __future__ import annotations

import pyarrow as pa
import pytest

from warehouse import judgement


@pytest.mark.parametrize("remembered", [1, 4, 1000])
def test_a_value_has_its_token_whether_it_was_seen_before_or_not(
    monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(judgement, "_REMEMBERED", remembered)
    tokens, made = judgement._Tokens(), 0

    def make(values: pa.Array) -> pa.Array:
        nonlocal made
        made += len(values)
        return pa.array([None if value is None else f"token of {value}" for value in values.to_pylist()])

    batches = [["a", None, "b"], ["b", "c", "a", None], [], ["d", "e", "f", "a"], ["f", None]]
    for batch in batches:
        expected = [None if value is None else f"token of {value}" for value in batch]
        assert tokens.of(pa.array(batch, pa.string()), make).to_pylist() == expected
    # With room for all of them each was made once.
    assert (made == 7) == (remembered == 1000)
