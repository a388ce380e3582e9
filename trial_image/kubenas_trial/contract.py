"""The trial's contract for trainers: read what is asked, report, checkpoint, finish.

Everything a trainer of one's own needs, in a few lines:

    from kubenas_trial.contract import Trial

    with Trial.from_environment() as trial:
        for candidate in trial.candidates:
            model = make_model(candidate.architecture["width"])
            for epoch in range(1, candidate.epochs + 1):
                trial.report(candidate, step=epoch, accuracy=train_one_epoch(model))

Whatever happens inside the `with`, the trial ends as the operator expects: with the results, or with one error that
says why there are none. Of several candidates one can fail alone, by `trial.fail(candidate, error)`.
"""

from __future__ import annotations

import logging
import math
import operator
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubenas.api.evaluation import MAX_TRAINED
from kubenas.api.trial import MAX_METRICS, most_metrics
from kubenas.space.base import Architecture, InvalidArchitectureError, Space, Value
from kubenas.space.load import build_space
from kubenas_trial.document import TrialDocument, read_document
from kubenas_trial.errors import InvalidTrialError, NonFiniteMetricError, TrialError, exit_code, told
from kubenas_trial.exposition import Exposition
from kubenas_trial.sigterm import Sigterm
from kubenas_trial.termination import (
    Failed,
    Result,
    check_room,
    error_message,
    exposed_message,
    results_message,
    write,
)

__all__ = ["Candidate", "InvalidTrialError", "NonFiniteMetricError", "Trial", "TrialError"]

_LOG = logging.getLogger("kubenas_trial")
_METRIC_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}")
# Measured on the test split: part of the results, hidden from everything that steers a search.
_TEST_PREFIX = "test_"
# File for the message of a process above rank 0, for the one that started it.
RANK_LOG = "KUBENAS_RANK_LOG"
# Epochs done: exposed, so that a scraped value can replace a lost result, but not part of the result.
_EPOCH = "epoch"
_LAST_STEP = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate to evaluate.

    `given` is its architecture, or None for one that the evaluation finds; `epochs` are 1 where nothing is trained for
    it. `horizon`, where larger than `epochs`, is the length of the learning rate's schedule, as a later stage resumes
    from this training's checkpoint. `resume_from` is another trial's checkpoint file of the same architecture,
    to go on from, or None.
    """

    id: str
    given: Architecture | None
    epochs: int
    resume_from: Path | None
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


class Trial:
    """One trial of an experiment, from the trainer's side. Made by `Trial.from_environment`.

    Attributes:
        document: all that the operator asks for.
        seed: seed of this trial's random draws, the same for each of its attempts.
        space: the search space that the candidates belong to.
        candidates: the architectures to evaluate, one after another.
        checkpoint_dir: where this trial's checkpoints outlive its pod, or None.
        data_dir: where data sets lie, or None.
    """

    def __init__(
        self, document: TrialDocument, environment: Mapping[str, str], exposition: Exposition | None, sigterm: Sigterm
    ) -> None:
        self.document = document
        self.seed = document.seed
        self.space: Space = build_space(document.search_space)
        self.candidates = tuple(_candidates(document, self.space))
        self.checkpoint_dir = _directory(environment, "KUBENAS_CHECKPOINT_DIR")
        self.data_dir = _directory(environment, "KUBENAS_DATA_DIR")
        self._exposition = exposition
        self._sigterm = sigterm
        self._termination_log = _termination_log(environment)
        self._reports: dict[str, tuple[int, dict[str, float]]] = {}
        self._failures: dict[str, TrialError] = {}
        self._ids = frozenset(candidate.id for candidate in self.candidates)
        # More than a message has room for.
        self._is_batch = len(self.candidates) > MAX_TRAINED
        self._found: dict[str, dict[str, Any]] = {}

    @classmethod
    @contextmanager
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Iterator[Trial]:
        """The trial that the environment describes; serves its metrics while inside the `with`.

        At the end the results go into the termination message, and the process stays up until the last values were
        scraped (at most KUBENAS_SCRAPE_LIMIT seconds). Results of more than 16 candidates are those that were scraped;
        the message has their digest. An exception inside ends the process with `errors.exit_code` and its reason and
        text in the termination message; SIGTERM with 143, or with 0 once the results are written.
        sys.exit() and sys.exit(0) inside are an end like any other: the results are written before. A candidate that
        has none fails alone if another has one.

        Of several processes that train together (torchrun, accelerate, Lightning) the one of rank 0 reports: in the
        others `report` does nothing, no port is opened and no message is written.

        Raises:
            SystemExit: as said above.
        """
        termination_log = _termination_log(environment)
        sigterm = Sigterm()
        ended = None
        try:
            document = read_document(environment)
            if number := _rank(environment):
                _LOG.info("trial %s, attempt %d: rank %d reports nothing", document.trial, document.attempt, number)
                yield cls(document, environment, None, sigterm)
                return
            with Exposition(_number(environment, "KUBENAS_METRICS_PORT", 8080)) as exposition:
                scrape_limit = _number(environment, "KUBENAS_SCRAPE_LIMIT", 60)
                trial = cls(document, environment, exposition, sigterm)
                _LOG.info("trial %s, attempt %d: metrics on port %d", document.trial, document.attempt, exposition.port)
                try:
                    yield trial
                except SystemExit as raised:
                    if raised.code not in {None, 0}:
                        raise
                    ended = raised
                outcomes = trial._outcomes()
                errors = [one.error for one in outcomes if isinstance(one, Failed)]
                if trial._is_batch:
                    message = exposed_message(outcomes, exposition.digest())
                else:
                    message = results_message(outcomes)
                with sigterm.held():
                    write(termination_log, message)
                    sigterm.code = exit_code(errors[0]) if len(errors) == len(outcomes) else 0
                if sigterm.code:
                    ended = SystemExit(sigterm.code)
                else:
                    exposition.wait_final_scrape(scrape_limit)
        except Exception as error:
            _LOG.exception("the trial failed")
            write(termination_log, error_message(error))
            raise SystemExit(exit_code(error)) from error
        finally:
            sigterm.restore()
        if ended is not None:
            raise ended

    def report(self, candidate: Candidate, step: int, **metrics: float) -> None:
        """Publish the values of `candidate` at `step`, for example the epoch.

        The last report of a candidate is its result, with what other reports of the same step say. Metrics whose names
        start with test_ appear in the result only, where no search can see them, and not at all with more than 16
        candidates; `epoch`, the epochs that are done, is shown only.

        Raises:
            NonFiniteMetricError: a value is NaN or infinite.
            TrialError: these are more metrics than a result can have, or too many for the termination message once all
                candidates have them, with reason ResultsTooLarge.
            TypeError: the step is no whole number, or a value is no number.
            ValueError: the step is negative, a name is none that Prometheus can carry, nothing is reported, or the
                candidate is another trial's.
        """
        at = f"candidate {candidate.id}, step {step}"
        self._check_own(candidate, at)
        if not metrics:
            raise ValueError(f"{at}: no metric is reported")
        number = _step(at, step)
        values = {name: _value(at, name, value) for name, value in metrics.items()}
        last_number, last_values = self._reports.get(candidate.id, (number, {}))
        if last_number == number:
            values = last_values | values
        self._check_metrics(at, values.keys() - {_EPOCH})
        if self._exposition is None or candidate.id in self._failures:
            return
        if not self._is_batch:
            # Fail now rather than after the other candidates' training.
            likely = (
                {own.id: (number, values) for own in self.candidates} | self._reports | {candidate.id: (number, values)}
            )
            found = self._found.get(candidate.id)
            results_message([self._outcome(own.id, *likely[own.id], found) for own in self.candidates])
        self._reports[candidate.id] = number, values
        visible = {name: value for name, value in values.items() if not name.startswith(_TEST_PREFIX)}
        if self._is_batch:
            visible.pop(_EPOCH, None)
        self._exposition.update(candidate.id, number, visible)

    def found(self, candidate: Candidate, architecture: Mapping[str, Value]) -> None:
        """Say which architecture was found for `candidate`, which was given none; the last one is part of its result.

        Raises:
            InvalidArchitectureError: it is none of the search space.
            ValueError: the candidate was given one, or is another trial's.
        """
        self._check_own(candidate, f"candidate {candidate.id}")
        if candidate.given is not None:
            raise ValueError(f"candidate {candidate.id}: its architecture was given")
        self._found[candidate.id] = self.space.parse(dict(architecture)).to_json()

    def fail(self, candidate: Candidate, error: BaseException) -> None:
        """Mark `candidate` alone as failed: its result is `error`, whatever it has reported; the others keep theirs.

        Where no candidate has a result the trial fails, with the reason of the first and the message of each.

        Raises:
            ValueError: the candidate is another trial's.
        """
        self._check_own(candidate, f"candidate {candidate.id}")
        if self._exposition is None:
            return
        _LOG.error("candidate %s has failed", candidate.id, exc_info=error)
        self._give_up(candidate.id, told(error))

    def check_room(self, metrics: Iterable[str]) -> None:
        """Check that the results will fit, before anything is trained, where the names of all metrics are known.

        Raises:
            TrialError: they might not, with reason ResultsTooLarge.
        """
        names = list(metrics)
        if self._is_batch:
            self._check_metrics("each candidate", {name for name in names if not name.startswith(_TEST_PREFIX)})
        else:
            check_room([(candidate.id, candidate.epochs) for candidate in self.candidates], names)

    def abort(self, error: TrialError) -> None:
        """End the process with `error` at once, from any thread: for when the main one may wait for ever."""
        _LOG.error("the trial failed: %s", error)
        write(self._termination_log, error_message(error))
        os._exit(exit_code(error))

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Defer SIGTERM: its SystemExit is raised at the end of the `with`, not within.

        For what must not be interrupted halfway, such as a step of training. Code around the steps may catch the
        SystemExit, write a checkpoint, and raise it again.
        """
        return self._sigterm.held()

    def checkpoint_path(self, candidate: Candidate) -> Path | None:
        """The file that holds `candidate`'s checkpoint, or None where nothing outlives the pod."""
        if self.checkpoint_dir is None:
            return None
        self.checkpoint_dir.mkdir(parents=True, exist_ok=True)
        return self.checkpoint_dir / f"{candidate.id}.safetensors"

    def _check_own(self, candidate: Candidate, at: str) -> None:
        if candidate.id not in self._ids:
            raise ValueError(f"{at}: this trial has no such candidate")

    def _check_metrics(self, at: str, names: Collection[str]) -> None:
        most = most_metrics(len(self.candidates))
        if len(names) > most:
            of = f" of {len(self.candidates)} candidates" if most < MAX_METRICS else ""
            raise TrialError(
                "ResultsTooLarge", f"{at}: {len(names)} metrics are reported, and a result{of} has at most {most}"
            )

    def _give_up(self, candidate: str, error: TrialError) -> None:
        self._failures[candidate] = error
        if self._is_batch and self._exposition is not None:
            self._exposition.fail(candidate, error.reason)

    def _outcomes(self) -> list[Result | Failed]:
        """The result or failure of each candidate; raises the error of the only one, or the first one of a batch."""
        for candidate in self.candidates:
            if candidate.id not in self._reports and candidate.id not in self._failures:
                message = f"the trainer ended without a report of candidate {candidate.id}"
                self._give_up(candidate.id, TrialError("TrainerError", message))
        alone = len(self.candidates) == 1 or self._is_batch
        if alone and len(self._failures) == len(self.candidates):
            raise self._failures[self.candidates[0].id]
        return [self._outcome(one.id, *self._reports.get(one.id, (0, {}))) for one in self.candidates]

    def _outcome(
        self, candidate: str, step: int, values: Mapping[str, float], found: dict[str, Any] | None = None
    ) -> Result | Failed:
        """The result, with `found` where no architecture has been found for it, or the failure."""
        if candidate in self._failures:
            return Failed(candidate, self._failures[candidate])
        metrics = {name: value for name, value in values.items() if name != _EPOCH}
        return Result(candidate, step, metrics, self._found.get(candidate, found))


def _candidates(document: TrialDocument, space: Space) -> Iterator[Candidate]:
    for candidate in document.candidates:
        try:
            architecture = None if candidate.architecture is None else space.parse(candidate.architecture)
        except InvalidArchitectureError as error:
            raise InvalidTrialError(f"candidate {candidate.id}: {error}") from error
        resume_from = None if candidate.resume_from is None else Path(candidate.resume_from)
        yield Candidate(candidate.id, architecture, candidate.epochs or 1, resume_from, candidate.horizon or 0)


def _rank(environment: Mapping[str, str]) -> int:
    """Number of this process among those that train together, 0 where it is alone."""
    # Read here, not from torch.distributed: a trainer may have no torch.
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    # torchrun and accelerate set both, Lightning the latter.
    numbers = (environment.get(variable, "") for variable in ("RANK", "LOCAL_RANK"))
    return next((int(number) for number in numbers if number.isdecimal()), 0)


def _step(at: str, step: int) -> int:
    try:
        # Whole numbers of numpy and torch too.
        number = operator.index(step)
    except TypeError:
        raise TypeError(f"{at}: the step is {step!r}: give a whole number, such as the epoch") from None
    if not 0 <= number <= _LAST_STEP:
        raise ValueError(f"{at}: give a step from 0 to {_LAST_STEP}")
    return number


def _value(at: str, name: str, value: float) -> float:
    if not _METRIC_NAME.fullmatch(name):
        raise ValueError(f"metric {name!r}: use up to 63 letters, digits and _, not beginning with a digit")
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{at}: {name} is no number: {error}") from None
    if not math.isfinite(number):
        raise NonFiniteMetricError(f"{at}: {name} is {number}")
    return number


def _termination_log(environment: Mapping[str, str]) -> Path:
    if _rank(environment):
        return Path(environment.get(RANK_LOG, os.devnull))
    return Path(environment.get("KUBENAS_TERMINATION_LOG", "/dev/termination-log"))


def _directory(environment: Mapping[str, str], variable: str) -> Path | None:
    text = environment.get(variable)
    return Path(text) if text else None


def _number(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable, str(default))
    if not text.isdecimal():
        raise InvalidTrialError(f"{variable} is {text!r}: give a whole number")
    return int(text)
