"""The one error a user is meant to read: what is wrong, where, what was found, what is valid, what to do next."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right: a file, a setting, a mapping, a lock.

    The console program prints it without a traceback and ends with `exit_code`. Values of columns that hold
    personal data must be masked by whoever raises it: messages go to screens and logs.

    Parameters
    ----------
    problem
        What is wrong, as one sentence without a full stop.
    where
        The file, table, row, column or setting, e.g. `mapping.yml, line 12: tables.accounts[0].columns.rate`.
    found
        What stands there now.
    valid
        What would be valid there.
    next_step
        What to do about it.

    Examples
    --------
    >>> print(UserError("no such source", where="mapping.yml, line 3", found="'tran'", valid="trans, loan"))
    no such source
      where: mapping.yml, line 3
      found: 'tran'
      valid: trans, loan
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        found: str | None = None,
        valid: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.problem = problem
        self.where = where
        self.found = found
        self.valid = valid
        self.next_step = next_step
        super().__init__(str(self))

    def __str__(self) -> str:
        details = (
            ("where", self.where),
            ("found", self.found),
            ("valid", self.valid),
            ("next", self.next_step),
        )
        return "\n".join([self.problem, *(f"  {label}: {text}" for label, text in details if text)])
