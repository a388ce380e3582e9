"""The termination message: the exact final values, or why there are none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubenas_trial.errors import TrialError, reason

# The kubelet keeps no more of a container's termination message.
LIMIT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Result:
    """The final values of one candidate, and the step that they belong to."""

    candidate: str
    step: int
    metrics: dict[str, float]


def results_message(results: Sequence[Result]) -> bytes:
    """The message of a trial that ended well.

    Raises:
        TrialError: it would not fit, with reason ResultsTooLarge.
    """
    message = _encode({"results": [{"candidate": r.candidate, "step": r.step, "metrics": r.metrics} for r in results]})
    if len(message) > LIMIT_BYTES:
        raise TrialError(
            "ResultsTooLarge",
            f"the results of {len(results)} candidates take {len(message)} bytes and a termination message holds "
            f"{LIMIT_BYTES}: report fewer metrics, or lower trials.candidatesPerTrial",
        )
    return message


def error_message(error: BaseException) -> bytes:
    """The message of a trial that failed; a long text is cut at its end."""
    text = str(error) or type(error).__name__
    if not isinstance(error, TrialError):
        text = f"{type(error).__name__}: {text}"
    message = _encode_error(reason(error), text)
    while len(message) > LIMIT_BYTES:
        # A character may take up to 12 bytes once escaped, so this never cuts too much at once.
        text = text[: -max(1, (len(message) - LIMIT_BYTES) // 12) - 1].rstrip("…") + "…"
        message = _encode_error(reason(error), text)
    return message


def write(path: Path, message: bytes) -> None:
    """Write in place: the kubelet mounts the file itself, so it cannot be replaced by a renamed one."""
    path.write_bytes(message)


def read_error(path: Path) -> tuple[str, str] | None:
    """Reason and text of the error in the message at `path`; None where there is none."""
    try:
        error = json.loads(path.read_bytes())["error"]
    except (OSError, ValueError, KeyError):
        return None
    return str(error["reason"]), str(error["message"])


def _encode_error(word: str, text: str) -> bytes:
    return _encode({"error": {"reason": word, "message": text}})


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
