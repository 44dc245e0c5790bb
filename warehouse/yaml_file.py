"""YAML read strictly: every place knows its line, a key may stand once, and only what is expected may stand at all.

Plain scalars stay the text that was written (`on`, `NO` and `01` are text, not a truth value or a number); the
reader of a field decides what it must be. `~`, `null` and nothing at all are null.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from warehouse.errors import UserError


def closest_names(name: str, valid: Iterable[str]) -> str:
    """Valid names for a message: those that resemble `name` first, then the others, at most twelve.

    Examples
    --------
    >>> closest_names("acount", ["branches", "account", "accounts"])
    'account, accounts, branches'
    """
    names = sorted(set(valid))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    ordered = [*near, *(other for other in names if other not in near)]
    return ", ".join(ordered[:12]) + (f" and {len(ordered) - 12} more" if len(ordered) > 12 else "")


@dataclass(frozen=True)
class Node:
    """One place of a YAML file: a scalar (`text`), a sequence (`sequence`) or a mapping (`entries`)."""

    file: Path
    path: str
    line: int
    text: str | None = None
    sequence: tuple[Node, ...] | None = None
    entries: tuple[tuple[str | None, Node], ...] | None = None

    @property
    def where(self) -> str:
        """File, line and path of the place, for messages."""
        return f"{self.file}, line {self.line}{f': {self.path}' if self.path else ''}"

    @property
    def is_null(self) -> bool:
        """Whether nothing (or `~`) stands there."""
        return self.text is None and self.sequence is None and self.entries is None

    def describe(self) -> str:
        """What stands there, for messages."""
        if self.sequence is not None:
            return f"a list of {len(self.sequence)}"
        if self.entries is not None:
            return "keys " + (", ".join(repr(key) for key, _ in self.entries[:8]) or "(none)")
        return "nothing" if self.text is None else repr(self.text)

    def error(self, problem: str, valid: str | None = None, next_step: str | None = None) -> UserError:
        """A `UserError` that names this place and what was found there."""
        return UserError(problem, where=self.where, found=self.describe(), valid=valid, next_step=next_step)

    def as_text(self) -> str:
        """Scalar as the text that was written."""
        if self.text is None:
            raise self.error("a text is expected here", valid="one value; text with a colon or # in quotes")
        return self.text

    def as_boolean(self) -> bool:
        """Scalar as a truth value."""
        if self.text not in ("true", "false"):
            raise self.error("true or false is expected here", valid="true, false")
        return self.text == "true"

    def as_integer(self, minimum: int = 0) -> int:
        """Scalar as a whole number of at least `minimum`."""
        text = self.text or ""
        if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit() or int(text) < minimum:
            raise self.error("a whole number is expected here", valid=f"a whole number, at least {minimum}")
        return int(text)

    def as_one_of(self, valid: Iterable[str]) -> str:
        """Scalar as one of the valid names."""
        names = list(valid)
        text = self.as_text()
        if text not in names:
            raise self.error("this name is not known here", valid=closest_names(text, names))
        return text

    def as_list(self) -> tuple[Node, ...]:
        """Elements of the sequence."""
        if self.sequence is None:
            raise self.error("a list is expected here", valid="[a, b] or lines that begin with a dash")
        return self.sequence

    def as_texts(self) -> tuple[str, ...]:
        """Elements of the sequence, each a text."""
        return tuple(node.as_text() for node in self.as_list())

    def as_entries(self) -> tuple[tuple[str | None, Node], ...]:
        """Keys and values of the mapping; the key `~` is None."""
        if self.entries is None:
            raise self.error("keys with values are expected here", valid="lines of the form `key: value`")
        return self.entries

    def as_named(self) -> tuple[tuple[str, Node], ...]:
        """Keys and values of the mapping, each key a text."""
        named = []
        for key, node in self.as_entries():
            if key is None:
                raise node.error("a key is empty here", valid="a name before the colon")
            named.append((key, node))
        return tuple(named)

    def fields(self, required: Iterable[str] = (), optional: Iterable[str] = ()) -> dict[str, Node]:
        """Values by key, after checking that every required key stands and no unknown one does."""
        needed, allowed = list(required), [*required, *optional]
        found = dict(self.as_named())
        for key, node in found.items():
            if key not in allowed:
                raise UserError(
                    "this key is not known here",
                    where=node.where,
                    found=repr(key),
                    valid=closest_names(key, allowed),
                    next_step="correct the key or remove it",
                )
        missing = [key for key in needed if key not in found or found[key].is_null]
        if missing:
            raise self.error(f"required and absent here: {', '.join(missing)}", valid=", ".join(allowed))
        return {key: node for key, node in found.items() if not node.is_null}

    def walk(self) -> Iterator[Node]:
        """Yield the place itself and every place below it."""
        yield self
        for child in self.sequence or tuple(node for _, node in self.entries or ()):
            yield from child.walk()


def read_yaml(file: Path) -> Node:
    """Root of a YAML file.

    Raises
    ------
    UserError
        The file is absent or unreadable, is no UTF-8, no YAML, or repeats a key.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            "this file cannot be read", where=str(file), found=error.strerror, next_step="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError("this file is not UTF-8 text", where=str(file), found=f"byte {error.start}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            return _node(file, "", root)
    except RecursionError as error:
        raise UserError(
            "this file is nested without end",
            where=str(file),
            valid="a few levels, and no alias (*) inside what it stands for",
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UserError(
            "this file is not valid YAML",
            where=f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(file),
            found=str(getattr(error, "problem", None) or error),
            next_step="check indentation, quotes and colons at that line",
        ) from error
    raise UserError("this file is empty", where=str(file))


def _node(file: Path, path: str, node: yaml.Node) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return Node(file, path, line, text=_text(node))
    if isinstance(node, yaml.SequenceNode):
        elements = enumerate(node.value)
        return Node(file, path, line, sequence=tuple(_node(file, f"{path}[{i}]", child) for i, child in elements))
    entries: dict[str | None, Node] = {}
    for key_node, value_node in node.value:
        key_line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError("a key must be one value", where=f"{file}, line {key_line}: {path}")
        key = _text(key_node)
        shown = "~" if key is None else key
        if key in entries:
            raise UserError(
                "this key stands twice",
                where=f"{file}, line {key_line}: {path or 'top level'}",
                found=f"{shown!r}, first in line {entries[key].line}",
                next_step="keep one of the two",
            )
        child = _node(file, f"{path}.{shown}" if path else shown, value_node)
        # The line of the key: a block value begins a line later, where nobody would look for it.
        entries[key] = Node(file, child.path, key_line, child.text, child.sequence, child.entries)
    return Node(file, path, line, entries=tuple(entries.items()))


def _text(node: yaml.ScalarNode) -> str | None:
    is_null = node.style is None and node.value in ("", "~", "null")
    return None if is_null else str(node.value)
