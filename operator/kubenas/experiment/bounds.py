"""How large a trial may become: the storage that all tenants share keeps up to 100,000 of an experiment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kubenas.api.errors import SpecError
from kubenas.api.experiment import MAX_NAME_LENGTH
from kubenas.api.trial import Result, TrialStatus
from kubenas.experiment.contract import trial_document
from kubenas.experiment.stages import resolve
from kubenas.experiment.state import Trial, trial_name
from kubenas.space.domains import Choice, Domain

if TYPE_CHECKING:
    from kubenas.api.experiment import ExperimentSpec
    from kubenas.space.base import Space

# Results of all candidates together. A termination message, which has 4 KiB, always fits.
RESULTS_BYTES: Final = 32 * 1024
# The message of a condition, and that of the last failure.
MESSAGE_BYTES: Final = 4096
# What a trial reads from its environment: Linux gives a program at most 128 KiB in one variable, its name included.
DOCUMENT_BYTES: Final = 120 * 1024
# Of a candidate in the document, around its architecture; a checkpoint's path has up to 1,024 characters.
_AROUND_BYTES: Final = 1280
# The longest text of a number.
_NUMBER_BYTES: Final = 25


def cut(text: str, most: int) -> str:
    """The beginning of `text`, as long as it takes at most `most` bytes of UTF-8."""
    return text.encode(errors="replace")[:most].decode(errors="ignore")


def within_room(results: Sequence[Result], required: Sequence[str]) -> tuple[list[Result], list[str]]:
    """Results that take at most `RESULTS_BYTES` of JSON, and what was left out of them.

    Each candidate has the same room, and what is `required` of it always fits.
    """
    kept: list[Result] = []
    left_out: list[str] = []
    for result in results:
        room = RESULTS_BYTES // len(results) - _size(result.model_copy(update={"metrics": []}).dump())
        metrics = []
        for metric in sorted(result.metrics, key=lambda one: one.name not in required):
            room -= _size(metric.dump()) + 1
            if metric.name in required or room >= 0:
                metrics.append(metric)
            else:
                of = f"candidate {result.candidate}: " if len(results) > 1 else ""
                left_out.append(f"{of}{metric.name} (beyond the {RESULTS_BYTES:,} bytes of a trial's results)")
        metrics.sort(key=lambda one: one.name)
        kept.append(result.model_copy(update={"metrics": metrics}))
    return kept, left_out


def size_problem(spec: ExperimentSpec, space: Space) -> SpecError | None:
    """What makes a trial's document too large to be handed to its program, if anything does."""
    longest = "x" * MAX_NAME_LENGTH
    stage = max(resolve(spec), key=lambda one: one.candidates_per_trial)
    empty = Trial(trial_name(longest, spec.trials.max), spec.trials.max, "", "", 0, stage.name, 0, (), TrialStatus())
    room = DOCUMENT_BYTES - len(trial_document(longest, spec, stage, empty))
    each = _AROUND_BYTES + sum(_size(one.name) + _longest(one.domain) + 2 for one in space.decisions.values())
    count = stage.candidates_per_trial
    if count * each <= room:
        return None
    if each <= room:
        asked = next((one for one in spec.stages if one.name == stage.name), None)
        own = asked is not None and asked.trials.candidates_per_trial is not None
        return SpecError(
            f"{stage.path if own else ''}trials.candidatesPerTrial",
            f"{count} architectures of up to {each:,} bytes are more than a program can be handed in its environment: "
            f"lower it to {room // each}",
        )
    field = max((_size(spec.task.dump()), "task"), (_size(spec.search_space.dump()), "searchSpace"))[1]
    return SpecError(
        field,
        f"is too long: it and an architecture of up to {each:,} bytes are more than the {DOCUMENT_BYTES:,} bytes that "
        "a program is handed in its environment: shorten names, values and settings",
    )


def _longest(domain: Domain) -> int:
    return max(map(_size, domain.values)) if isinstance(domain, Choice) else _NUMBER_BYTES


def _size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))
