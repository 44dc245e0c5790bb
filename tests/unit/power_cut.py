"""The power fails at a given flush or rename: for tests of what is found afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from warehouse import landing


class PowerCut(BaseException):
    """Nothing catches this, and nothing is tidied up after it."""


def cut_power_at(step: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the power fail at a given flush, rename or removal; what was done before."""
    done: list[str] = []

    def failing(name: str, honest: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if len(done) + 1 == step:
                raise PowerCut(name)
            done.append(name)
            return honest(*arguments, **named)

        return call

    monkeypatch.setattr(os, "fsync", failing("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", failing("replace", Path.replace))
    monkeypatch.setattr(landing._StagedFile, "discard", lambda _: None)
    return done
