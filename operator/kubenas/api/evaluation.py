"""How an architecture is judged: a union by `method`, flat, with rules that keep each field to its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from kubenas.api.base import Ruled
from kubenas.api.metric_names import expanded_proxies
from kubenas.api.rule import Rule, Unique, only

MAX_SEEDS: Final = 32
# Pods that score candidates hold many; pods that train them few.
MAX_CANDIDATES: Final = 1024
MAX_TRAINED: Final = 16
MAX_PROXIES: Final = 32

Method: TypeAlias = Literal["train", "zero-cost", "supernet", "differentiable"]
Combination: TypeAlias = Literal["log-rank-sum", "mean-rank", "vote"]
SupernetRule: TypeAlias = Literal["single-path", "fairnas", "sandwich", "progressive-shrinking", "few-shot"]
Sampler: TypeAlias = Literal["darts", "gdas", "snas", "drnas"]
ProxyName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-_a-z0-9]*[a-z0-9])?$")]

# The methods that score many candidates in a pod.
SCORING: Final = frozenset({"zero-cost", "supernet"})
_TRAINING: Final = ("train", "supernet", "differentiable")

# What each method has where nothing is said: a default of the schema would be there for all methods.
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "train": {"epochs": 12},
    "zero-cost": {"proxies": ["default"], "combine": "log-rank-sum", "input": "noise"},
    "supernet": {"epochs": 50, "rule": "sandwich", "complexity_aware_rate": False},
    "differentiable": {
        "epochs": 50,
        "sampler": "drnas",
        "order": "first",
        "perturbation": "none",
        "partial_channels": 1,
        "beta_decay": 0.0,
        "flops_penalty": 0.0,
        "pruning": False,
    },
}
# Of sampler gdas, which computes one operation of an edge in a step: five times the epochs of DARTS, as published.
_GDAS_EPOCHS: Final = 250


class Evaluation(Ruled):
    """How an architecture is judged."""

    rules: ClassVar[Sequence[Rule[Evaluation] | Unique]] = [
        only("method", [*_TRAINING], "epochs"),
        Rule(
            # The apiserver checks the default, {}, before its fields have theirs.
            cel="!has(self.seeds) || self.seeds == 1 || self.method in ['train', 'zero-cost']",
            subject="seeds",
            message="is of method train or zero-cost only: remove it, or choose that method",
            field="seeds",
            holds=lambda one: one.method in ("train", "zero-cost") or one.seeds == 1,
        ),
        only("method", ["train"], "inherit"),
        *(only("method", ["zero-cost"], field) for field in ("proxies", "combine", "input")),
        *(only("method", ["supernet"], field) for field in ("rule", "complexity_aware_rate")),
        *(only("method", ["differentiable"], field) for field in _DEFAULTS["differentiable"] if field != "epochs"),
        Unique("proxies"),
    ]

    method: Method = Field(
        default="train",
        description="train: train it and report its validation metrics. zero-cost: score it without training. "
        "supernet: train one network that holds all architectures, and judge each with the weights that it has there. "
        "differentiable: train all operations at once, each with a weight, and find an architecture by the weights.",
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Epochs that each candidate, the supernet, or the differentiable search is trained; 12 of train, "
        "250 of sampler gdas, else 50, if absent.",
    )
    seeds: int = Field(
        default=1,
        ge=1,
        le=MAX_SEEDS,
        description="How often each candidate is judged by train or zero-cost, each time in a trial of its own with "
        "another seed. Candidates are compared by the mean of their metrics; the status tells the spread.",
    )
    inherit: bool | None = Field(
        default=None, description="train: begin from the weights of the supernet of an earlier stage; false if absent."
    )
    proxies: list[ProxyName] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_PROXIES,
        description="zero-cost: which scores are computed; [default], which is az-nas and vkdnw, if absent.",
    )
    combine: Combination | None = Field(
        default=None,
        description="zero-cost: how the scores of all candidates make the metric score; log-rank-sum if absent.",
    )
    input: Literal["noise", "data"] | None = Field(
        default=None, description="zero-cost: what the network is shown; noise, which needs no data set, if absent."
    )
    rule: SupernetRule | None = Field(
        default=None, description="supernet: which sub-networks a training step samples; sandwich if absent."
    )
    complexity_aware_rate: bool | None = Field(
        default=None,
        description="supernet: a learning rate by the sub-network's complexity, against the bias toward small ones; "
        "false if absent.",
    )
    sampler: Sampler | None = Field(
        default=None, description="differentiable: how operations are weighed; drnas if absent."
    )
    order: Literal["first", "second"] | None = Field(
        default=None, description="differentiable: approximation of the architecture's gradient; first if absent."
    )
    perturbation: Literal["none", "random"] | None = Field(
        default=None, description="differentiable: of the architecture's weights in training; none if absent."
    )
    partial_channels: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="differentiable: K, where only 1/K of the channels go through the operations; 1, all, if absent.",
    )
    beta_decay: float | None = Field(
        default=None,
        ge=0,
        le=1e6,
        description="differentiable: weight of the beta-decay regularizer; 0, off, if absent.",
    )
    flops_penalty: float | None = Field(
        default=None, ge=0, le=1e6, description="differentiable: weight of the expected FLOPs; 0, off, if absent."
    )
    pruning: bool | None = Field(
        default=None, description="differentiable: remove weak operations as the search goes on; false if absent."
    )

    def resolved(self) -> Evaluation:
        """The same with all fields of its method, and the names of proxies as `PROXIES` has them."""
        given = {name: value for name, value in self if value is not None}
        if self.method == "zero-cost":
            given["proxies"] = list(expanded_proxies(self.proxies or ("default",)))
        if self.sampler == "gdas":
            given.setdefault("epochs", _GDAS_EPOCHS)
        return type(self)(**{**_DEFAULTS[self.method], **given})

    @property
    def candidates_per_trial(self) -> int:
        """How many candidates a trial judges where the specification does not say."""
        return 64 if self.method in SCORING else 1

    @property
    def most_candidates_per_trial(self) -> int:
        """How many candidates a trial may judge."""
        return MAX_CANDIDATES if self.method in SCORING else MAX_TRAINED
