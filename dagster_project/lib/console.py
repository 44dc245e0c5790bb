"""What a person at a terminal sees of a run: one line per thing done, with the seconds since the start."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

import dagster as dg


class _OneLine(logging.Handler):
    """Prints what steps say, and when each begins and ends; leaves out Dagster's own bookkeeping."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._start = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        step = meta.get("step_key") or ""
        if event is None:
            said = meta.get("orig_message") or record.getMessage()
            if record.levelno < logging.INFO or said.startswith("Dependencies for step"):
                return
            line = f"{step:<16} {said}"
        elif event.event_type_value == "STEP_SUCCESS":
            line = f"{step:<16} done in {event.event_specific_data.duration_ms / 1000:.1f} s"
        else:
            return
        self._stream.write(f"{time.monotonic() - self._start:7.1f} s  {line}\n")
        self._stream.flush()


def _make(_context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("mainbank", level=logging.DEBUG)
    logger.addHandler(_OneLine(sys.stderr))
    return logger


console_logger = dg.LoggerDefinition(_make, config_schema={}, description="One line per thing done, for a terminal.")
"""The logger that `mainbank run` asks for."""
