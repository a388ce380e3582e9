"""What a trial is asked to evaluate, as its trainer sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubenas.space.base import Architecture, InvalidArchitectureError, Space
from kubenas_trial.document import TrialDocument
from kubenas_trial.errors import InvalidTrialError


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate to evaluate.

    `given` is its architecture, or None for one that the evaluation finds; `epochs` are 1 where nothing is trained for
    it. `horizon`, where larger than `epochs`, is the length of the learning rate's schedule, as a later stage resumes
    from this training's checkpoint. `resume_from` is where another trial's checkpoints of the same
    architecture are, to go on from, or None.
    """

    id: str
    given: Architecture | None
    epochs: int
    resume_from: str | None
    horizon: int = 0

    @property
    def architecture(self) -> Architecture:
        """The architecture that is to be evaluated.

        Raises:
            InvalidTrialError: the evaluation is to find one.
        """
        if self.given is None:
            raise InvalidTrialError(f"candidate {self.id} has no architecture, and this evaluation finds none")
        return self.given


def candidates_of(document: TrialDocument, space: Space) -> Iterator[Candidate]:
    """The candidates of a trial, their architectures checked against the space.

    Raises:
        InvalidTrialError: an architecture is none of the space.
    """
    for candidate in document.candidates:
        try:
            architecture = None if candidate.architecture is None else space.parse(candidate.architecture)
        except InvalidArchitectureError as error:
            raise InvalidTrialError(f"candidate {candidate.id}: {error}") from error
        yield Candidate(
            candidate.id, architecture, candidate.epochs or 1, candidate.resume_from, candidate.horizon or 0
        )
