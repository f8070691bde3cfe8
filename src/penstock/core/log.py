"""Structured logs: one JSON object (or one readable line) per record, on standard error."""

import json
import logging
import sys
from typing import Any

from penstock.core import clock

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET_WORDS = ("api_key", "authorization", "password", "secret", "token_value")


def get(name: str) -> logging.Logger:
    """Return the logger `penstock.<name>`; pass fields by `extra={...}`."""
    return logging.getLogger(f"penstock.{name}")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {
        key: "[redacted]" if any(word in key.lower() for word in _SECRET_WORDS) else value
        for key, value in vars(record).items()
        if key not in _STANDARD
    }


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON with time, level, logger, message, its extra fields and any traceback."""
        line: dict[str, Any] = {
            "time": clock.iso(clock.from_ns(int(record.created * 1e9))),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class LineFormatter(logging.Formatter):
    """Formats a record as one readable line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `time level logger message key=value …`."""
        extra = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        stamp = clock.iso(clock.from_ns(int(record.created * 1e9)))[11:23]
        text = f"{stamp} {record.levelname.lower():7} {record.name} {record.getMessage()} {extra}".rstrip()
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure(level: str = "info", style: str = "line") -> None:
    """Send logs of `level` and above to standard error, as `line` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn", "alembic", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
