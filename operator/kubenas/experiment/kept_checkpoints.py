"""Whose checkpoints nobody needs any more, where an experiment does not keep all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kubenas.api.storage import KeptCheckpoints
from kubenas.experiment.actions import Removal
from kubenas.experiment.judged import Judged, distinct
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.proposals import current_stage, goes_on_from_checkpoints
from kubenas.experiment.stages import ResolvedStage, stage_named
from kubenas.experiment.trainings import promoter_of

# Trials whose checkpoints are removed together while the search goes on: each removal takes a pod.
_AT_ONCE: Final = 8


def removal(
    keep: KeptCheckpoints, stages: Sequence[ResolvedStage], ledger: Ledger, before: int, *, over: bool
) -> Removal | None:
    """What is to be removed now.

    Args:
        keep: as `storage.keep` says.
        before: of how many trials checkpoints were removed so far.
        over: whether the experiment has ended, and nothing runs.
    """
    if keep == "all":
        return None
    found = removable(keep, stages, ledger, over=over)
    new = len(found) - before
    return Removal(found, before) if new >= _AT_ONCE or (over and new > 0) else None


def removable(keep: KeptCheckpoints, stages: Sequence[ResolvedStage], ledger: Ledger, *, over: bool) -> tuple[int, ...]:
    """Numbers of the trials whose checkpoints nobody needs, in order.

    Such are trials that were outdone, which further results do not change, and that no stage goes on from. One with a
    candidate without a result, as that failed or was stopped early, waits for the end of its stage. Supernets, and what
    may yet be promoted, always stay: a larger bound of an experiment that has ended would need them.
    """
    current = current_stage(stages, ledger)
    needed = set[int]()
    undecided = set[str | None]()
    for stage in stages:
        for one in _chosen(keep, stage, ledger, over=over):
            # Each seed's weights are the candidate's.
            trials = ledger.stage(stage.name).of(one.trial)
            needed |= {ended.number for ended in trials.trials.values() if ended} if trials else {one.trial}
        needed |= {one.trial for one in _to_go_on(stages, stage, ledger)}
        if promoter := promoter_of(stage):
            needed |= ledger.stage(stage.name).trainings.waiting(promoter)
        if keep != "none" and ledger.stage(stage.name).unscored:
            undecided.add(stage.name)
    found = []
    for number, ended in sorted(ledger.ended.items()):
        of = stage_named(stages, ended.stage)
        if of is None or of.trains_supernet or of.epochs is None or of.name in undecided:
            continue
        trials = ledger.stage(of.name).of(number)
        whole = ended.phase == "Succeeded" and all(one.score is not None for one in ended.candidates)
        judged = whole and trials is not None and trials.complete(of.seeds)
        if number not in needed and (judged or over or of.index < current.index):
            found.append(number)
    return tuple(found)


def _chosen(keep: KeptCheckpoints, stage: ResolvedStage, ledger: Ledger, *, over: bool) -> Iterator[Judged]:
    """The candidates of a stage whose weights the experiment is run for."""
    if keep == "none" or not stage.decides:
        return
    candidates = ledger.ranked(stage, ended=over)
    # Where all break a limit, the least bad one.
    yield from ([one for one in candidates if one.feasible] or candidates)[:1]
    if keep == "front":
        yield from ledger.stage(stage.name).front.members


def _to_go_on(stages: Sequence[ResolvedStage], stage: ResolvedStage, ledger: Ledger) -> list[Judged]:
    """The candidates of a stage that the next one goes on from, and has not done yet."""
    later = next((one for one in stages if one.before == stage.index), None)
    if later is None or not goes_on_from_checkpoints(stages, later):
        return []
    taken = ledger.stage(later.name).completed_architectures()
    if stage.keep is None or stage.keep.top is not None:
        kept = ledger.kept(stage)
    else:
        # Which of many members go on is decided by the whole front.
        kept = distinct(ledger.stage(stage.name).front.members or ledger.stage(stage.name).ranked()[:1])
    return [one for one in kept if one.architecture not in taken]
