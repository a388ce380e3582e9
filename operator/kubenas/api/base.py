"""What all resources share: naming, metadata, conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)
from pydantic.alias_generators import to_camel

from kubenas.api.errors import SpecError, refuse
from kubenas.api.rule import Check, Checked, Rule
from kubenas.api.text import clean

GROUP: Final = "kubenas.io"
MAX_NAME: Final = 1024
MAX_DEPTH: Final = 100
VERSION: Final = "v1alpha1"
API_VERSION: Final = "kubenas.io/v1alpha1"


class Model(BaseModel):
    """An immutable part of a resource: snake_case here, camelCase in YAML, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        frozen=True,
        extra="forbid",
        strict=True,  # as the apiserver: "3" is no number
        allow_inf_nan=False,  # JSON has neither
    )

    def dump(self) -> dict[str, Any]:
        """The JSON object as the apiserver keeps it: camelCase, absent instead of null."""
        return self.model_dump(mode="json", exclude_none=True)


def _add_checks(schema: dict[str, Any], model: type[Ruled]) -> None:
    for rule in model.rules:
        rule.add_to(schema)


class Ruled(Model):
    """A model that must hold to `rules`; the others are spared the check, as ten thousand trials have many."""

    model_config = ConfigDict(json_schema_extra=_add_checks)

    rules: ClassVar[Sequence[Check]]

    @model_validator(mode="after")
    def _check(self) -> Self:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[SpecError]:
        """All that is wrong; a subclass may add what CEL cannot say."""
        for rule in self.rules:
            yield from rule.problems(self)


_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")


def duration_seconds(text: str) -> int:
    """Seconds in a duration such as `90s`, `15m` or `1h30m`.

    Raises:
        ValueError: `text` is not such a duration, or is zero.
    """
    match = _DURATION.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise ValueError(f"{text!r} is no duration: write for example 90s, 15m or 1h30m")
    return total


# The pattern has found a number and a unit by then.
DURATION: Final = Checked(
    Rule[str](
        cel="duration(self) > duration('0s')",
        message="is zero: write for example 90s, 15m or 1h30m",
        holds=lambda text: any(digit in text for digit in "123456789"),
    )
)

Duration = Annotated[
    str,
    Field(
        min_length=2,
        max_length=32,
        pattern=r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$",
    ),
    DURATION,
]


def _utc(value: object) -> object:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def time_text(moment: datetime) -> str:
    """RFC 3339 with microseconds, as Kubernetes writes a MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# A time in a resource; microseconds keep the order of trials that end within one second.
Time = Annotated[
    datetime,
    BeforeValidator(_utc),
    PlainSerializer(time_text),
    Field(json_schema_extra={"maxLength": 64}),
]

# Part of it may be what trainers, nodes and services have said.
Message = Annotated[str, BeforeValidator(lambda text: clean(text) if isinstance(text, str) else text)]
Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
# Shown to people; architectures of a large space can take more to write down than a field may hold.
ArchitectureName = Annotated[
    str,
    BeforeValidator(lambda name: name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"),
    Field(max_length=MAX_NAME, description="The architecture in one line, cut short after 1,024 characters."),
]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]
MetricName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


# Whatever its author likes; others than KubeNAS define it.
def _not_too_deep(found: dict[str, Any]) -> dict[str, Any]:
    """Whoever reads the object later does so level by level, and must not run out of stack."""
    levels: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        values = (v for level in levels for v in (level.values() if isinstance(level, dict) else level))
        levels = [value for value in values if isinstance(value, dict | list)]
        if not levels:
            return found
    raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")


FreeObject = Annotated[
    dict[str, Any],
    AfterValidator(_not_too_deep),
    Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}),
]


class Metadata(BaseModel):
    """The part of Kubernetes' ObjectMeta that KubeNAS reads."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="ignore")

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None


class Condition(Model):
    """One aspect of a resource's state, as `kubectl wait --for=condition=TYPE` reads it."""

    type: str = Field(min_length=1, max_length=316, description="Which aspect, in CamelCase.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="Why, as one CamelCase word for programs.",
    )
    message: Message = Field(max_length=32768, description="Why, for people.")
    observed_generation: int = Field(
        ge=0, description="The generation of the specification that this condition was computed from."
    )
    last_transition_time: Time = Field(description="When the status last changed.")


class MetricValue(Model):
    """One measured value."""

    name: MetricName = Field(description="Name of the metric, as the trainer reports it.")
    value: float = Field(description="The value, in the metric's own unit.")
