"""Log lines: JSON in a pod, plain text on a terminal."""

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("modelway_runtime")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in getattr(record, "fields", {}).items())
        return f"{record.getMessage()}{fields}" + (
            f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        )


def configure(*, text: bool) -> None:
    """Sends the log to standard error, as text for a person or as JSON for a collector."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_TextLines() if text else _JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    LOGGER.setLevel(logging.INFO)


def form() -> str:
    """What the log is written as, `text` or `json`, so that a process of ours does the same."""
    is_text = any(isinstance(handler.formatter, _TextLines) for handler in logging.getLogger().handlers)
    return "text" if is_text else "json"


def write(message: str, **fields: object) -> None:
    """One line at level INFO with fields."""
    LOGGER.info(message, extra={"fields": fields})
