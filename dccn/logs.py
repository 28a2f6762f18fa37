"""What the programs log, always on stderr: lines for people, or one JSON object per line for a log store."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum


class LogFormat(StrEnum):
    text = "text"
    json = "json"


class LogLevel(StrEnum):
    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


def configure(log_format: LogFormat, level: LogLevel) -> None:
    """Sends everything from `level` on to stderr in this format; what a library logs below a warning is left out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format is LogFormat.json else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, _number(level)))
    for ours in ("chain", "fleet", "appliance", "dccn"):
        logging.getLogger(ours).setLevel(_number(level))


class TextLines(logging.Formatter):
    """`2026-11-28T07:00:00.123Z WARNING chain.engines.ballot: …`"""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """`{"time","level","logger","message"}`, and `exception` with its traceback where there was one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(level: LogLevel) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
