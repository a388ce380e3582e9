"""What can end a trial without results, each with the reason that the operator records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from kubenas.api.errors import quote_it

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)


class TrialError(Exception):
    """A failure with a `reason` of its own: one CamelCase word for programs, beside the message for people.

    `exit_code` is what a process ends with that fails by it: 64 and 65 as sysexits.h has them for wrong usage and data.
    """

    exit_code = 1

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidTrialError(TrialError):
    """The request cannot be evaluated, and retries would not help: the message names the field."""

    exit_code = 64

    def __init__(self, message: str) -> None:
        super().__init__("InvalidTrial", message)


@dataclass(frozen=True, slots=True)
class Alike:
    """Problems of one kind: how many, and the messages of the first."""

    kind: str
    count: int
    shown: tuple[str, ...]


class InvalidDatasetError(TrialError):
    """A data set cannot be used as it is: the message names the file, or the field, and what is wrong.

    Attributes:
        problems: all that is known to be wrong, by kinds, the one of the message first.
    """

    exit_code = 65

    def __init__(self, message: str, kind: str = "other") -> None:
        super().__init__("InvalidDataset", message)
        self.problems: tuple[Alike, ...] = (Alike(kind, 1, (message,)),)

    @classmethod
    def of(cls, problems: tuple[Alike, ...]) -> InvalidDatasetError:
        """One error that tells all of `problems`, one or more."""
        more = sum(each.count for each in problems) - 1
        rest = f" (and {more:,} more problems, see `kubenas-trial datasets --check`)" if more else ""
        error = InvalidDatasetError(problems[0].shown[0] + rest)
        error.problems = problems
        return error


class NonFiniteMetricError(TrialError):
    """A reported value is NaN or infinite, as after a diverged training."""

    def __init__(self, message: str) -> None:
        super().__init__("NonFiniteMetric", message)


def reason(error: BaseException) -> str:
    """The one CamelCase word that stands for `error` in the termination message."""
    if isinstance(error, TrialError):
        return error.reason
    return "OutOfMemory" if is_out_of_memory(error) else "TrainerError"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a GPU or of the process."""
    # By name: torch.cuda.OutOfMemoryError is meant, but a trainer without torch must not import it. On a CPU torch has
    # no class of its own for it.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator: " in str(error))
    )


def exit_code(error: BaseException) -> int:
    """What a process that fails by `error` ends with, never 0."""
    return error.exit_code if isinstance(error, TrialError) else 1


def told(error: BaseException) -> TrialError:
    """`error` as a TrialError without traceback, whose frames would keep the network and its data alive."""
    text = str(error) or type(error).__name__
    said = TrialError(reason(error), text if isinstance(error, TrialError) else f"{type(error).__name__}: {text}")
    said.exit_code = exit_code(error)
    return said


def read(model: type[M], document: Any, at: str, extra: Literal["ignore"] | None = None) -> M:
    """`document` as a `model`; `extra` ignores unknown fields, at any depth, instead of what the model does.

    Raises:
        InvalidTrialError: it is none; the message names every wrong field below `at`.
    """
    try:
        return model.model_validate(document, extra=extra)
    except ValidationError as error:
        known = ", ".join(sorted(field.alias or name for name, field in model.model_fields.items())) or "none"
        problems = [
            f"{'.'.join([at, *map(str, problem['loc'])])}: "
            + (
                f"is unknown, choose of {known}"
                if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1
                else f"{problem['msg'].replace('valid tuple', 'list in brackets')}, got {_got(problem)}"
            )
            for problem in error.errors(include_url=False, include_context=False)
        ]
        raise InvalidTrialError("; ".join(problems)) from None


def _got(problem: ErrorDetails) -> str:
    given = problem["input"]
    if problem["type"] == "string_type" and isinstance(given, bool | int | float):
        return quote_it(given)
    return _short(given)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
