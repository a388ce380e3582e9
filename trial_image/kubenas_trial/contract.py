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
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from kubenas.space.base import Space, Value
from kubenas.space.load import build_space
from kubenas_trial.candidate import Candidate, candidates_of
from kubenas_trial.document import TrialDocument, read_document
from kubenas_trial.environment import directory, rank, termination_log, whole_number
from kubenas_trial.errors import InvalidTrialError, NonFiniteMetricError, TrialError, exit_code, told
from kubenas_trial.exposition import Exposition
from kubenas_trial.results import EPOCH, Results
from kubenas_trial.sigterm import Sigterm
from kubenas_trial.storage.checkpoints import CheckpointStore, place_at
from kubenas_trial.termination import Failed, Result, error_message, exposed_message, results_message, write

__all__ = ["Candidate", "InvalidTrialError", "NonFiniteMetricError", "Trial", "TrialError"]

_LOG = logging.getLogger("kubenas_trial")
# What the operator proves itself by where it stops a candidate.
_STOP_TOKEN = "KUBENAS_STOP_TOKEN"  # noqa: S105 - the variable's name


class Trial:
    """One trial of an experiment, from the trainer's side. Made by `Trial.from_environment`.

    Attributes:
        document: all that the operator asks for.
        seed: seed of this trial's random draws, the same for each of its attempts.
        space: the search space that the candidates belong to.
        candidates: the architectures to evaluate, one after another.
        data_dir: where data sets lie, or None.
    """

    def __init__(
        self, document: TrialDocument, environment: Mapping[str, str], exposition: Exposition | None, sigterm: Sigterm
    ) -> None:
        self.document = document
        self.seed = document.seed
        self.space: Space = build_space(document.search_space)
        self.candidates = tuple(candidates_of(document, self.space))
        self._checkpoints = environment.get("KUBENAS_CHECKPOINT_DIR")
        self.data_dir = directory(environment, "KUBENAS_DATA_DIR")
        self._exposition = exposition
        self._sigterm = sigterm
        self._termination_log = termination_log(environment)
        self._results = Results(self.candidates)

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
        log = termination_log(environment)
        sigterm = Sigterm()
        ended = None
        try:
            document = read_document(environment)
            if number := rank(environment):
                _LOG.info("trial %s, attempt %d: rank %d reports nothing", document.trial, document.attempt, number)
                yield cls(document, environment, None, sigterm)
                return
            port, token = whole_number(environment, "KUBENAS_METRICS_PORT", 8080), environment.get(_STOP_TOKEN, "")
            with Exposition(port, token) as exposition:
                scrape_limit = whole_number(environment, "KUBENAS_SCRAPE_LIMIT", 60)
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
                if trial._results.is_batch:
                    message = exposed_message(outcomes, exposition.digest())
                else:
                    message = results_message(outcomes)
                with sigterm.held():
                    write(log, message)
                    sigterm.code = exit_code(errors[0]) if len(errors) == len(outcomes) else 0
                if sigterm.code:
                    ended = SystemExit(sigterm.code)
                else:
                    exposition.wait_final_scrape(scrape_limit)
        except Exception as error:
            _LOG.exception("the trial failed")
            write(log, error_message(error))
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
        number, values = self._results.checked(candidate, step, metrics)
        if self._exposition is None or self._results.has_failed(candidate):
            return
        visible, rungs = self._results.record(candidate, number, values), self.document.rungs
        epoch = visible.get(EPOCH, number)
        if epoch in rungs.epochs:
            judged = {name: value for name, value in visible.items() if name in {*rungs.metrics, EPOCH}}
            self._exposition.keep(candidate.id, int(epoch), number, judged)
        self._exposition.update(candidate.id, number, visible)

    def should_stop(self, candidate: Candidate) -> bool:
        """Whether the operator stops the training of `candidate` here, as it will not win; the others go on.

        What it has reported is its result. It costs next to nothing, so it may be asked after each step; where all
        candidates are stopped SIGTERM comes.
        """
        return self._exposition is not None and candidate.id in self._exposition.stopped

    def found(self, candidate: Candidate, architecture: Mapping[str, Value]) -> None:
        """Say which architecture was found for `candidate`, which was given none; the last one is part of its result.

        Raises:
            InvalidArchitectureError: it is none of the search space.
            ValueError: the candidate was given one, or is another trial's.
        """
        self._results.check_own(candidate, f"candidate {candidate.id}")
        if candidate.given is not None:
            raise ValueError(f"candidate {candidate.id}: its architecture was given")
        self._results.find(candidate, self.space.parse(dict(architecture)).to_json())

    def fail(self, candidate: Candidate, error: BaseException) -> None:
        """Mark `candidate` alone as failed: its result is `error`, whatever it has reported; the others keep theirs.

        Where no candidate has a result the trial fails, with the reason of the first and the message of each.

        Raises:
            ValueError: the candidate is another trial's.
        """
        self._results.check_own(candidate, f"candidate {candidate.id}")
        if self._exposition is None:
            return
        _LOG.error("candidate %s has failed", candidate.id, exc_info=error)
        self._give_up(candidate.id, told(error))

    def check_room(self, metrics: Iterable[str]) -> None:
        """Check that the results will fit, before anything is trained, where the names of all metrics are known.

        Raises:
            TrialError: they might not, with reason ResultsTooLarge.
        """
        self._results.check_room(metrics)

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

    def checkpoints(self, candidate: Candidate, suffix: str = ".safetensors") -> CheckpointStore | None:
        """The checkpoints of `candidate`, in files that end in `suffix`; None where nothing outlives the pod."""
        if self._checkpoints is None:
            return None
        return CheckpointStore(f"{self._checkpoints}/{candidate.id}{suffix}", self.document.checkpoint_every)

    def export(self, candidate: Candidate, write: Callable[[Path], None]) -> None:
        """Keep the network of `candidate` for a device to measure, where `document.export` asks for it.

        Args:
            candidate: one of the trial's.
            write: writes it to a file, as ONNX.

        Raises:
            InvalidTrialError: there is no storage that a device could read it from.
            StorageError: it cannot be written.
        """
        if self._exposition is None:
            return
        if self._checkpoints is None:
            raise InvalidTrialError("KUBENAS_CHECKPOINT_DIR is not set: there is no storage to export a network to")
        place_at(self._checkpoints).write(write, lambda _: f"{candidate.id}.onnx")

    def _give_up(self, candidate: str, error: TrialError) -> None:
        self._results.fail(candidate, error)
        if self._results.is_batch and self._exposition is not None:
            self._exposition.fail(candidate, error.reason)

    def _outcomes(self) -> list[Result | Failed]:
        for candidate in self._results.missing():
            message = f"the trainer ended without a report of candidate {candidate}"
            self._give_up(candidate, TrialError("TrainerError", message))
        return self._results.outcomes()
