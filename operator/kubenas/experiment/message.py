"""A trial's termination message: results, an error, or the end of a log in place of both."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kubenas.api.base import MAX_DEPTH, MetricValue
from kubenas.api.trial import MAX_STEP, Candidate, FailedCandidate, Result, most_metrics
from kubenas.experiment.curves import METRIC_NAME, REASON
from kubenas.experiment.state import Fault, metrics_of

# What the kubelet keeps of a termination message: its end.
MESSAGE_BYTES: Final = 4096
# What is cut may begin within a character, or with spaces.
_SLACK_BYTES: Final = 16
_OF_RESULTS: Final = re.compile(r'"(?:results|candidate|metrics)"\s*:|\["[^"]{1,63}",\s*\d+,\s*\[')
_ERROR_KEYS: Final = frozenset({"reason", "message"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
# Texts of failures that a message of a batch has, each by its reason.
_MOST_TEXTS: Final = 64


@dataclass(frozen=True, slots=True)
class Told:
    """What the message of a batch tells of the results that `/metrics` has shown.

    Attributes:
        results: how many there are.
        digest: SHA-256 of all that was shown.
        texts: what is said of candidates that have failed alone, by their reason.
    """

    results: int
    digest: str
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What a termination message says: results, or where they are, or what went wrong; nothing if there is none.

    Each candidate fails alone: `failed` are those without a result, and `fault` is set where none has one.
    `left_out` says which metrics of the results no status can hold, and why.
    """

    results: tuple[Result, ...] = ()
    fault: Fault | None = None
    failed: tuple[FailedCandidate, ...] = ()
    left_out: tuple[str, ...] = ()
    told: Told | None = None


class _UnusableError(Exception):
    """The message is meant as one of the contract, and cannot be used."""

    def __init__(self, message: str, reason: str = "InvalidResult") -> None:
        super().__init__(message)
        self.fault = Fault(reason, message)


def read_message(
    message: str,
    exit_code: int | None,
    candidates: Sequence[Candidate],
    required: Sequence[str],
    *,
    finds: bool = True,
) -> Report:
    """Read a termination message; the end of a failed trainer's log may stand in its place.

    Args:
        message: what the container left; longer ones have lost their beginning.
        exit_code: of the trainer, None where it is not known.
        candidates: those that should each have a result.
        required: metrics that each result must have.
        finds: whether results of candidates without an architecture must bring one.
    """
    try:
        document = _document(message.strip(), exit_code)
    except _UnusableError as error:
        return Report(fault=error.fault)
    if document is None:
        return Report()
    if isinstance(document.get("error"), Mapping):
        return Report(fault=_trainer_fault(document["error"]))
    if isinstance(document.get("exposed"), Mapping):
        return _told(document["exposed"], document.get("failures"))
    entries, malformed = _entries(document["results"], document.get("metrics"))
    results: list[Result] = []
    faults: dict[str, Fault] = {}
    left_out: list[str] = []
    most = most_metrics(len(candidates))
    for candidate in candidates:
        of = f"candidate {candidate.id}: " if len(candidates) > 1 else ""
        try:
            result = _result(candidate, of, entries, malformed, required, most, left_out)
            results.append(_with_architecture(candidate, result, entries[candidate.id]) if finds else result)
        except _UnusableError as error:
            faults[candidate.id] = error.fault
    failed = tuple(
        FailedCandidate(candidate=name, reason=fault.reason, message=fault.message[:1024])
        for name, fault in faults.items()
    )
    if results:
        return Report(tuple(results), failed=failed, left_out=tuple(left_out))
    name, first = next(iter(faults.items()))
    of = f"candidate {name}: " if len(candidates) > 1 else ""
    return Report(fault=Fault(first.reason, f"{of}{first.message}"), failed=failed)


def _document(text: str, exit_code: int | None) -> Mapping[str, Any] | None:
    """The contract's JSON object; None where the text is something else, or nothing."""
    problem = ""
    try:
        document = json.loads(text) if text.startswith("{") else None
    except RecursionError:
        document, problem = None, "it is nested too deeply"
    except ValueError as error:
        document, problem = None, f"it is not JSON: {error}"
    if isinstance(document, Mapping):
        said = document.get("error")
        listed, elsewhere = isinstance(document.get("results"), list), isinstance(document.get("exposed"), Mapping)
        if listed or elsewhere or (isinstance(said, Mapping) and said.keys() & _ERROR_KEYS):
            return document
        problem = "it has neither a list of results, nor an error with reason and message"
    if len(text.encode(errors="replace")) > MESSAGE_BYTES - _SLACK_BYTES and _OF_RESULTS.search(text):
        raise _UnusableError(
            f"the termination message is longer than {MESSAGE_BYTES} bytes, so its beginning is lost: report fewer "
            "metrics, or lower trials.candidatesPerTrial",
            "ResultsTooLarge",
        )
    # Only where a trainer has failed may the text be its log.
    if exit_code == 0 and problem:
        raise _UnusableError(f"the termination message is not as the contract says: {problem}")
    return None


def _told(exposed: Mapping[str, Any], failures: Any) -> Report:
    """That the results were shown on `/metrics`."""
    results, digest = _whole(exposed.get("results")), exposed.get("sha256")
    if results is None or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        problem = "exposed needs results, how many there are, and sha256, 64 hexadecimal digits"
        return Report(fault=Fault("InvalidResult", f"the termination message is not as the contract says: {problem}"))
    said = failures.items() if isinstance(failures, Mapping) else ()
    texts = {reason: text[:1024] for reason, text in [*said][:_MOST_TEXTS] if isinstance(text, str)}
    return Report(told=Told(results, digest, texts))


def _entries(results: Sequence[Any], names: Any) -> tuple[dict[str, Mapping[str, Any]], str]:
    """Entries of the results by candidate, and what is wrong with the first that is none."""
    entries: dict[str, Mapping[str, Any]] = {}
    malformed = ""
    for index, written in enumerate(results):
        entry = _unpacked(written, names) if isinstance(written, list) else written
        if (
            isinstance(entry, Mapping)
            and isinstance(entry.get("candidate"), str | int)
            and (isinstance(entry.get("metrics"), Mapping) or isinstance(entry.get("error"), Mapping))
        ):
            entries[str(entry["candidate"])] = entry
        elif not malformed and isinstance(written, list):
            malformed = f": results[{index}] is not [candidate, step, values] with a value for each name in metrics"
        elif not malformed:
            malformed = f": results[{index}] is no object with candidate, step and metrics, or candidate and error"
    return entries, malformed


def _unpacked(row: Sequence[Any], names: Any) -> Mapping[str, Any] | None:
    """The object that a packed result stands for: a value for each of the names, null where there is none."""
    if len(row) != 3 or not isinstance(row[2], list) or not isinstance(names, list) or len(names) != len(row[2]):
        return None
    if not all(isinstance(name, str) for name in names):
        return None
    metrics = {name: value for name, value in zip(names, row[2], strict=True) if value is not None}
    return {"candidate": row[0], "step": row[1], "metrics": metrics}


def _result(
    candidate: Candidate,
    of: str,
    entries: Mapping[str, Mapping[str, Any]],
    malformed: str,
    required: Sequence[str],
    most: int,
    left_out: list[str],
) -> Result:
    """A candidate's result; an unusable metric is fatal only where it is an objective."""
    entry = entries.get(candidate.id)
    if entry is None:
        raise _UnusableError(f"the termination message has no result of candidate {candidate.id}{malformed}")
    if isinstance(entry.get("error"), Mapping):
        fault = _trainer_fault(entry["error"])
        raise _UnusableError(fault.message, fault.reason)
    step = _whole(entry.get("step"))
    if step is None:
        raise _UnusableError(f"the result's step is {_short(entry.get('step'))}, not a whole number from 0")
    metrics: dict[str, float] = {}
    # Objectives first: of too many metrics the first ones are kept.
    for name, value in sorted(entry["metrics"].items(), key=lambda item: item[0] not in required):
        number = _finite(value)
        if METRIC_NAME.fullmatch(name) and number is not None and len(metrics) < most:
            metrics[name] = number
        elif name in required:
            reason = "NonFiniteMetric" if _is_number(value) else "InvalidResult"
            raise _UnusableError(f"{name}, an objective, is {_short(value)}, not a finite number", reason)
        elif not METRIC_NAME.fullmatch(name):
            left_out.append(f"{of}{name[:64]} (a name has up to 63 letters, digits and _, and begins with no digit)")
        elif number is None:
            left_out.append(f"{of}{name} ({_short(value)} is not a finite number)")
        else:
            left_out.append(f"{of}{name} (beyond the {most} metrics of a result)")
    for name in required:
        if name not in metrics:
            there = ", ".join(sorted(metrics)) or "nothing"
            raise _UnusableError(f"the trainer reported no {name}, an objective; it reported {there}", "MetricMissing")
    values = [MetricValue(name=n, value=v) for n, v in metrics_of(metrics)]
    return Result(candidate=candidate.id, step=step, metrics=values, source="TerminationMessage")


def _with_architecture(candidate: Candidate, result: Result, entry: Mapping[str, Any]) -> Result:
    """The result with what the trainer has found, where the candidate leaves it open."""
    if candidate.architecture is not None:
        return result
    found = entry.get("architecture")
    if not isinstance(found, dict):
        raise _UnusableError("the result has no architecture, which its candidate leaves open")
    try:
        judged = Result(**{**dict(result), "architecture": found})
    except ValueError:
        raise _UnusableError(f"the result's architecture is nested more than {MAX_DEPTH} levels deep") from None
    if not _storable(found):
        raise _UnusableError(
            "the result's architecture has what no status can hold: a number that is not finite or has more than 64 "
            "bits, or a text that is no Unicode"
        )
    return judged


def _storable(value: Any) -> bool:
    """Whether the apiserver takes `value`, which Python's JSON has read."""
    if isinstance(value, dict):
        return all(_storable(name) and _storable(item) for name, item in value.items())
    if isinstance(value, list):
        return all(map(_storable, value))
    if isinstance(value, str):
        return value == value.encode(errors="replace").decode()
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or math.isfinite(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> int | None:
    return int(value) if _is_number(value) and 0 <= value <= MAX_STEP and value == int(value) else None


def _finite(value: Any) -> float | None:
    try:
        return float(value) if _is_number(value) and math.isfinite(value) else None
    except OverflowError:
        return None


def _short(value: Any) -> str:
    # Very long numbers and what is nested deeply cannot even be printed.
    if isinstance(value, int) and abs(value) > MAX_STEP:
        return "a very large number"
    text = repr(value) if value is None or isinstance(value, str | int | float) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _trainer_fault(error: Mapping[str, Any]) -> Fault:
    reason = error.get("reason")
    said = error.get("message")
    message = said[:4000] if isinstance(said, str) else "no message"
    return Fault(reason if isinstance(reason, str) and REASON.fullmatch(reason) else "TrainerError", message)
