"""How large a trial may become: the storage that all tenants share keeps up to 100,000 of an experiment."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

from kubenas.api.errors import SpecError
from kubenas.api.evaluation import MAX_TRAINED
from kubenas.api.experiment import MAX_NAME_LENGTH
from kubenas.api.metric_names import SCORE
from kubenas.api.trial import MAX_VALUES, FailedCandidate, Result, TrialStatus, most_metrics
from kubenas.experiment.contract import trial_document
from kubenas.experiment.measured import measured_metrics
from kubenas.experiment.resolution import resolve
from kubenas.experiment.state import Trial, trial_name
from kubenas.space.domains import Choice, Domain
from kubenas.space.packing import pack

if TYPE_CHECKING:
    from kubenas.api.experiment import ExperimentSpec
    from kubenas.experiment.stages import ResolvedStage
    from kubenas.space.base import Space

# A whole trial: etcd takes 1.5 MiB, and the apiserver adds metadata.
OBJECT_BYTES: Final = 1_400_000
# Results of all candidates together. A termination message, which has 4 KiB, always fits.
RESULTS_BYTES: Final = 32 * 1024
# Of each candidate of a batch, where that is more: as many metrics as 1,024 of them may have.
_RESULT_BYTES: Final = 1024
# Of an experiment, as its storage is all tenants'.
MOST_SCORED: Final = 100_000
# The message of a condition, and that of the last failure.
MESSAGE_BYTES: Final = 4096
# What a trial reads from its environment: Linux gives a program at most 128 KiB in one variable, its name included.
DOCUMENT_BYTES: Final = 120 * 1024
# Of a candidate in the document, around its architecture; a checkpoint's path has up to 1,024 characters.
_AROUND_BYTES: Final = 1280
# Of a candidate of a large batch in its resource, around its architecture.
_AROUND_STORED_BYTES: Final = 64
# The longest text of a number.
_NUMBER_BYTES: Final = 25
# Architectures by which the size of many is estimated, and what they may be larger by.
_DRAWN: Final = 128
_MARGIN: Final = 1.1


def cut(text: str, most: int) -> str:
    """The beginning of `text`, as long as it takes at most `most` bytes of UTF-8."""
    return text.encode(errors="replace")[:most].decode(errors="ignore")


def within_room(results: Sequence[Result], required: Sequence[str], candidates: int) -> tuple[list[Result], list[str]]:
    """Results that take no more room than there is, and what was left out of them.

    Each of the trial's `candidates` has the same room, and what is `required` of it always fits.
    """
    kept: list[Result] = []
    left_out: list[str] = []
    share = _share(candidates)
    for result in results:
        if len(result.model_dump_json(by_alias=True, exclude_none=True)) <= share:
            kept.append(result)
            continue
        room = share - _size(result.model_copy(update={"metrics": []}).dump())
        metrics = []
        for metric in sorted(result.metrics, key=lambda one: one.name not in required):
            room -= _size(metric.dump()) + 1
            if metric.name in required or room >= 0:
                metrics.append(metric)
            else:
                of = f"candidate {result.candidate}: " if candidates > 1 else ""
                left_out.append(f"{of}{metric.name} (beyond the {share:,} bytes of a result)")
        metrics.sort(key=lambda one: one.name)
        kept.append(result.model_copy(update={"metrics": metrics}))
    return kept, left_out


def shortened(failed: Sequence[FailedCandidate], candidates: int) -> list[FailedCandidate]:
    """Failures with messages for which each of the trial's `candidates` has room."""
    room = 1024 if candidates <= MAX_TRAINED else _RESULT_BYTES // 4
    return [one.model_copy(update={"message": cut(one.message, room)}) for one in failed]


def _share(candidates: int) -> int:
    return max(RESULTS_BYTES // candidates, _RESULT_BYTES)


def batch_problem(spec: ExperimentSpec, space: Space) -> SpecError | None:
    """What makes a trial of a large batch, or all of them together, too large to be stored, if anything does."""
    architecture = sum(_size(one.name) + _longest(one.domain) + 2 for one in space.decisions.values())
    each = architecture + _AROUND_STORED_BYTES + _RESULT_BYTES
    scored = 0
    for stage in resolve(spec):
        count = stage.candidates_per_trial
        if count <= MAX_TRAINED:
            continue
        scored += stage.most_trials * count
        metrics = measured_metrics(spec, stage.evaluation, space.costs(space.complete({}, Random(0)))) or set()
        reported = len(metrics - {SCORE})
        field = _candidates_field(spec, stage)
        if count * each > OBJECT_BYTES:
            return SpecError(
                field,
                f"{count} architectures of up to {architecture:,} bytes and their results are more than a resource can "
                f"hold: lower it to {OBJECT_BYTES // each}",
            )
        if reported > most_metrics(count):
            return SpecError(
                field,
                f"{count} candidates with {reported} metrics each are more than the {MAX_VALUES:,} values that a trial "
                f"may have: lower it to {MAX_VALUES // reported}",
            )
        if scored > MOST_SCORED:
            return SpecError(
                f"{stage.search_field}.settings.pool" if stage.made else f"{stage.path}trials.max",
                f"{stage.most_trials:,} trials of {count:,} candidates are more than the {MOST_SCORED:,} that an "
                "experiment may score: lower it",
            )
    return None


def size_problem(spec: ExperimentSpec, space: Space) -> SpecError | None:
    """What makes a trial's document too large to be handed to its program, if anything does."""
    longest = "x" * MAX_NAME_LENGTH
    stage = max(resolve(spec), key=lambda one: one.candidates_per_trial)
    empty = Trial(trial_name(longest, spec.trials.max), spec.trials.max, "", "", 0, stage.name, 0, (), TrialStatus())
    room = DOCUMENT_BYTES - len(trial_document(longest, spec, stage, empty))
    each: float = _AROUND_BYTES + sum(_size(one.name) + _longest(one.domain) + 2 for one in space.decisions.values())
    count = stage.candidates_per_trial
    if count > MAX_TRAINED:
        each = _packed_bytes(space, count) / count
    if count * each <= room:
        return None
    if each <= room:
        return SpecError(
            _candidates_field(spec, stage),
            f"{count} architectures of up to {math.ceil(each):,} bytes are more than a program can be handed in its "
            f"environment: lower it to {int(room // each)}",
        )
    field = max((_size(spec.task.dump()), "task"), (_size(spec.search_space.dump()), "searchSpace"))[1]
    return SpecError(
        field,
        f"is too long: it and an architecture of up to {math.ceil(each):,} bytes are more than the {DOCUMENT_BYTES:,} "
        "bytes that a program is handed in its environment: shorten names, values and settings",
    )


def _candidates_field(spec: ExperimentSpec, stage: ResolvedStage) -> str:
    """Where the specification says how many candidates a trial of the stage has."""
    asked = next((one for one in spec.stages if one.name == stage.name), None)
    own = asked is not None and asked.trials.candidates_per_trial is not None
    return f"{stage.path if own else ''}trials.candidatesPerTrial"


def _packed_bytes(space: Space, count: int) -> float:
    """What so many architectures take in a document: of those that take every decision, at random."""
    random = Random(0)
    drawn = min(count, _DRAWN)
    architectures: dict[str, Mapping[str, Any] | None] = {
        str(number): {name: one.domain.sample(random) for name, one in space.decisions.items()}
        for number in range(drawn)
    }
    # Fewer do not repeat more than many do.
    return len(pack(architectures)) * count / drawn * _MARGIN


def _longest(domain: Domain) -> int:
    return max(map(_size, domain.values)) if isinstance(domain, Choice) else _NUMBER_BYTES


def _size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))
