"""What the operator asks of a trial: the JSON object in the environment variable KUBENAS_TRIAL."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from kubenas.api.evaluation import Combination, Sampler, SupernetRule
from kubenas.api.metric_names import DEFAULT_PROXIES
from kubenas.api.space import SearchSpace
from kubenas.api.task import Task
from kubenas.space.packing import unpack
from kubenas_trial.errors import InvalidTrialError, read

VARIABLE = "KUBENAS_TRIAL"
_LOG = logging.getLogger("kubenas_trial")


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid")


class Evaluation(_Part):
    """How the candidates are judged: by one of `evaluation.methods`; the others' fields are not read.

    The operator writes all fields of the method. `kubenas.api.evaluation` says what they mean.
    """

    method: str = "train"
    epochs: Annotated[int, Field(ge=1)] | None = None
    inherit: bool = False
    proxies: tuple[str, ...] = DEFAULT_PROXIES
    combine: Combination = "log-rank-sum"
    input: Literal["noise", "data"] = "noise"
    rule: SupernetRule = "sandwich"
    complexity_aware_rate: bool = False
    sampler: Sampler = "drnas"
    order: Literal["first", "second"] = "first"
    perturbation: Literal["none", "random"] = "none"
    partial_channels: Annotated[int, Field(ge=1)] = 1
    beta_decay: Annotated[float, Field(ge=0)] = 0.0
    flops_penalty: Annotated[float, Field(ge=0)] = 0.0
    pruning: bool = False


class CandidateDocument(_Part):
    """One architecture to evaluate, decision by decision, as yet unchecked against the space."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    # None where the method finds one, or trains a supernet.
    architecture: dict[str, Any] | None = None
    # None where nothing is trained for it.
    epochs: Annotated[int, Field(ge=1)] | None = None
    horizon: Annotated[int, Field(ge=1)] | None = None
    resume_from: str | None = None


def _unpacked(candidates: Any) -> Any:
    """The candidates, of which many come packed (`kubenas.space.packing`)."""
    if not isinstance(candidates, Mapping):
        return candidates
    packed = candidates.get("packed")
    if not isinstance(packed, str):
        raise ValueError("is no list, and has no text packed")  # noqa: TRY004 - pydantic makes it a problem of the field
    return [{"id": name, "architecture": architecture} for name, architecture in unpack(packed).items()]


class RungsDocument(_Part):
    """After how many epochs candidates are judged while they train, and by which metrics."""

    epochs: tuple[Annotated[int, Field(ge=1)], ...] = ()
    metrics: tuple[str, ...] = ()


class EvaluationDocument(_Part):
    """What all trials of a stage have in common, and what decides what they import."""

    task: Task
    evaluation: Evaluation = Evaluation()


class TrialDocument(EvaluationDocument):
    """The whole request."""

    experiment: str
    trial: str
    attempt: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0)] = 0
    search_space: SearchSpace
    # Checkpoint of the supernet that the candidates are judged by, or begin from.
    supernet: str | None = None
    rungs: RungsDocument = RungsDocument()
    # Seconds between checkpoints, within an epoch too.
    checkpoint_every: Annotated[float, Field(gt=0)] | None = None
    # What devices need of each candidate.
    export: Literal["onnx"] | None = None
    candidates: Annotated[list[CandidateDocument], Field(min_length=1), BeforeValidator(_unpacked)]


def read_document(environment: Mapping[str, str]) -> TrialDocument:
    """The request in `environment`.

    Raises:
        InvalidTrialError: it is absent, no JSON, or has a wrong field, which the message names.
    """
    document = _json(environment)
    # An unknown field comes from a newer operator, which has validated it: an older trainer still runs.
    try:
        return TrialDocument.model_validate(document)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            if problem["type"] == "extra_forbidden":
                _LOG.warning("%s: is of a newer operator, and ignored", ".".join(map(str, (VARIABLE, *problem["loc"]))))
    return read(TrialDocument, document, VARIABLE, extra="ignore")


def read_evaluation(environment: Mapping[str, str]) -> EvaluationDocument:
    """What the request in `environment` has in common with others; it may hold no more than that.

    Raises:
        InvalidTrialError: it is absent, no JSON, or has a wrong field, which the message names.
    """
    return read(EvaluationDocument, _json(environment), VARIABLE, extra="ignore")


def _json(environment: Mapping[str, str]) -> Any:
    text = environment.get(VARIABLE)
    if text is None:
        raise InvalidTrialError(f"{VARIABLE} is not set: the operator, or `kubenas run`, sets it for each trial")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidTrialError(f"{VARIABLE} is no JSON: {error}") from None
