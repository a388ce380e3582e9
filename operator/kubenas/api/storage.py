"""Where an experiment's checkpoints live: on a volume, or in a bucket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from kubenas.api.base import Duration, Ruled
from kubenas.api.rule import Rule

# A bucket and a prefix of plain names: no credentials, no options, no way out of the prefix.
_URL: Final = r"^(s3|gs)://[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9](/[A-Za-z0-9_][-A-Za-z0-9_.]*)*$"
_OBJECT: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"

KeptCheckpoints: TypeAlias = Literal["all", "best", "front", "none"]


class Storage(Ruled):
    """Where checkpoints live: either volumeClaim or url."""

    rules: ClassVar[Sequence[Rule[Storage]]] = [
        Rule(
            cel="has(self.volumeClaim) != has(self.url)",
            message="must have either volumeClaim or url: give one of them",
            holds=lambda storage: (storage.volume_claim is None) != (storage.url is None),
        ),
        Rule(
            cel="!has(self.secret) || has(self.url)",
            message="has no meaning without url: remove it",
            subject="secret",
            field="secret",
            holds=lambda storage: storage.secret is None or storage.url is not None,
        ),
        Rule(
            cel=f"!has(self.url) || self.url.matches('{_URL}')",
            message="must be s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, of letters, digits and -_. alone (a bucket has "
            "no capitals), with no / at its end: credentials belong into the Secret that storage.secret names",
            subject="url",
            field="url",
            holds=lambda storage: storage.url is None or re.fullmatch(_URL, storage.url) is not None,
        ),
    ]

    volume_claim: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        pattern=_OBJECT,
        description="PersistentVolumeClaim in the experiment's namespace, mounted for checkpoints in every trial; "
        "without storage a retried trial starts from the beginning. Required where a stage judges by a supernet.",
    )
    url: str | None = Field(
        default=None,
        max_length=512,
        description="Bucket and prefix in place of a volume, for example s3://artifacts/nas or gs://artifacts.",
    )
    secret: str | None = Field(
        default=None,
        max_length=253,
        pattern=_OBJECT,
        description="Secret in the experiment's namespace whose keys are the environment variables that the bucket is "
        "reached by, for example AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )
    checkpoint_every: Duration | None = Field(
        default=None,
        description="Longest time between two checkpoints, for example 10m: one is written within an epoch too, after "
        "the step that is then done. Only after each epoch if absent.",
    )
    keep: KeptCheckpoints = Field(
        default="all",
        description="Whose checkpoints stay: of all trials, of the best, of the Pareto front and the best, or of none. "
        "The others' are removed by a pod of the experiment, each once nothing can go on from it; supernets stay.",
    )
