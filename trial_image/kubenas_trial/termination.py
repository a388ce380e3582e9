"""The termination message: the exact final values, or why there are none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubenas_trial.errors import TrialError, told

# The kubelet keeps no more of a container's termination message.
LIMIT_BYTES = 4096
# Of numbers that take too much room; those of float32 are still exact.
_DIGITS = 9
# No rounded number is longer.
_LONGEST = -1234567890000000.0
# Reasons of failures in the message of a batch, of which each has up to 63 characters.
_MOST_TEXTS = 32


@dataclass(frozen=True, slots=True)
class Result:
    """The final values of one candidate, the step that they belong to, and the architecture, if it was found."""

    candidate: str
    step: int
    metrics: dict[str, float]
    architecture: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A candidate without a result, and why."""

    candidate: str
    error: TrialError


def results_message(outcomes: Sequence[Result | Failed]) -> bytes:
    """The message of a trial that ended well: names once, then a row of numbers, or an error, of each candidate.

    Numbers are exact, or have 9 digits where the exact ones do not fit; long texts of errors are cut to what is left.

    Raises:
        TrialError: it would not fit, with reason ResultsTooLarge.
    """
    packed = [one for one in outcomes if isinstance(one, Result) and one.architecture is None]
    names = list(dict.fromkeys(name for one in packed for name in one.metrics))
    for digits in (None, _DIGITS):
        message = _encode(_packed(outcomes, names, digits, text_bytes=0))
        if len(message) <= LIMIT_BYTES:
            failed = sum(isinstance(one, Failed) for one in outcomes)
            share = (LIMIT_BYTES - len(message)) // failed if failed else 0
            return _encode(_packed(outcomes, names, digits, share))
    raise TrialError(
        "ResultsTooLarge",
        f"the results of {len(outcomes)} candidates, {len(names)} metrics each, take up to {len(message)} bytes and a "
        f"termination message holds {LIMIT_BYTES}: lower trials.candidatesPerTrial, or report fewer metrics (KubeNAS' "
        "own trainer: list fewer in task.settings.measure)",
    )


def exposed_message(outcomes: Sequence[Result | Failed], digest: str) -> bytes:
    """The message of a batch whose results `/metrics` shows: their number and digest, and a text for each reason.

    Args:
        outcomes: of all candidates.
        digest: of what is shown (`Exposition.digest`).
    """
    texts: dict[str, TrialError] = {}
    for one in outcomes:
        if isinstance(one, Failed):
            texts.setdefault(one.error.reason, one.error)
    results = sum(isinstance(one, Result) for one in outcomes)

    def message(text_bytes: int) -> bytes:
        failures = [_error(error, text_bytes) for error in [*texts.values()][:_MOST_TEXTS]]
        said = {one["reason"]: one["message"] for one in failures}
        return _encode({"exposed": {"results": results, "sha256": digest}, "failures": said})

    share = (LIMIT_BYTES - len(message(0))) // max(1, min(len(texts), _MOST_TEXTS))
    return message(share)


def check_room(candidates: Sequence[tuple[str, int]], names: Iterable[str]) -> None:
    """Check that results fit whatever their numbers will be, before anything is trained.

    Args:
        candidates: the id of each, and the largest step that it will report.
        names: metrics that each will have.

    Raises:
        TrialError: they might not, with reason ResultsTooLarge.
    """
    longest = dict.fromkeys(names, _LONGEST)
    results_message([Result(name, step, longest) for name, step in candidates])


def error_message(error: BaseException) -> bytes:
    """The message of a trial that failed; a long text is cut at its end."""
    said = told(error)
    room = LIMIT_BYTES - len(_encode({"error": _error(said, text_bytes=0)}))
    return _encode({"error": _error(said, room)})


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


def _packed(
    outcomes: Sequence[Result | Failed], names: Sequence[str], digits: int | None, text_bytes: int
) -> dict[str, Any]:
    rows: list[Any] = []
    for one in outcomes:
        if isinstance(one, Failed):
            rows.append({"candidate": one.candidate, "error": _error(one.error, text_bytes)})
        elif one.architecture is not None:
            metrics = {name: _number(value, digits) for name, value in one.metrics.items()}
            result = {"candidate": one.candidate, "step": one.step, "metrics": metrics}
            rows.append(result | {"architecture": one.architecture})
        else:
            numbers = [_number(one.metrics[name], digits) if name in one.metrics else None for name in names]
            rows.append([one.candidate, one.step, numbers])
    return {"metrics": list(names), "results": rows}


def _number(value: float, digits: int | None) -> float:
    if digits is not None and not (value.is_integer() and abs(value) < 10**15):
        value = float(f"{value:.{digits}g}")
    # Shorter without a point.
    return int(value) if value.is_integer() and abs(value) < 10**16 else value


def _error(error: TrialError, text_bytes: int) -> dict[str, str]:
    """Reason and text, which takes at most so many bytes of JSON; a longer one ends with …"""
    text = str(error)
    while text and (more := len(_encode(text)) - 2 - text_bytes) > 0:
        # A character may take up to 12 bytes once escaped, so this never cuts too much at once.
        text = text[: -max(1, more // 12) - 1].rstrip("…")
        text = f"{text}…" if text else ""
    return {"reason": error.reason[:63], "message": text}


def _encode(document: Any) -> bytes:
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
