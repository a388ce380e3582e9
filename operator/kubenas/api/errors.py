"""What is wrong with a resource that a user wrote, and in which field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


# Pydantic's types of errors of what must be a string.
_OF_STRINGS: Final = frozenset({"string_type", "literal_error", "enum"})


class SpecError(ValueError):
    """One field that is wrong.

    Attributes:
        field: its path as in the YAML, for example ``spec.stages[1].keep``.
        message: what is wrong with it and what to do, as a phrase that follows the path.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message

    def within(self, parent: str) -> SpecError:
        """The same problem, its path seen from outside of `parent`."""
        return SpecError(_joined(parent, self.field), self.message)

    @property
    def problems(self) -> tuple[SpecError, ...]:
        """Each field that is wrong, on its own."""
        return (self,)


class CombinedSpecError(SpecError):
    """Several fields that are wrong; its text has one line for each, its field is that of the first."""

    def __init__(self, problems: Sequence[SpecError]) -> None:
        super().__init__(problems[0].field, problems[0].message)
        self.args = ("\n".join(map(str, problems)),)
        self._problems = tuple(problems)

    def within(self, parent: str) -> CombinedSpecError:
        """The same problems, their paths seen from outside of `parent`."""
        return CombinedSpecError([problem.within(parent) for problem in self._problems])

    @property
    def problems(self) -> tuple[SpecError, ...]:
        """Each field that is wrong, on its own."""
        return self._problems


def combined(problems: Sequence[SpecError]) -> SpecError:
    """One error for one or more problems."""
    each = [one for problem in problems for one in problem.problems]
    return each[0] if len(each) == 1 else CombinedSpecError(each)


def refuse(problems: Iterable[SpecError]) -> None:
    """Raise what is wrong, all of it at once, if anything is.

    Raises:
        SpecError: its `problems` are all of them.
    """
    found = list(problems)
    if found:
        raise combined(found)


def repeats(field: str, values: Iterable[Any], key: str = "") -> Iterator[SpecError]:
    """What is there twice in a list: values, or values of its items' field `key`; on the second of them."""
    seen = set()
    for index, value in enumerate(values):
        if (known := tuple(value) if isinstance(value, list) else value) in seen:
            at, each = (f"{field}[{index}].{key}", f"each {key}") if key else (f"{field}[{index}]", "each")
            yield SpecError(at, f"{value!r} is there twice: {each} must be unique")
        seen.add(known)


def problems_of(error: ValidationError) -> list[SpecError]:
    """Every problem that a model has found, each with the path from the model's root.

    A validator that raises a `SpecError` names the field relative to its own model.
    """
    return [one for details in error.errors(include_url=False) for one in _problem(details).problems]


def _problem(details: ErrorDetails) -> SpecError:
    path = ""
    for part in details["loc"]:
        path = _joined(path, f"[{part}]" if isinstance(part, int) else part)
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, SpecError):
        return cause.within(path)
    return SpecError(path, str(cause) if isinstance(cause, ValueError) else _message(details))


def _message(details: ErrorDetails) -> str:
    match details["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is no known field"
        case "string_pattern_mismatch":
            requirement = f"must match {details['ctx']['pattern']}"
        case "model_type" | "model_attributes_type" | "dict_type":
            requirement = "must be an object, with fields of its own"
        case _:
            text = details["msg"]
            for subject in ("Input", "String", "List", "Dictionary"):
                text = text.removeprefix(f"{subject} should ")
            requirement = text if text == details["msg"] else f"must {text}"
    given = details["input"]
    if details["type"] in _OF_STRINGS and isinstance(given, bool | int | float):
        return f"{requirement}, not {quote_it(given)}"
    shown = isinstance(given, bool | int | float) or (isinstance(given, str) and len(given) <= 100)
    return f"{requirement}, not {given!r}" if shown else requirement


def quote_it(given: float) -> str:
    """What to do about a number or boolean that was to be a string, as a phrase that follows ``not``."""
    if isinstance(given, bool):
        return f"the boolean {str(given).lower()}: put it in quotes, as YAML has y, n, yes, no, on and off for booleans"
    return f"the number {given!r}: put it in quotes"


def _joined(parent: str, field: str) -> str:
    separator = "." if parent and field and not field.startswith("[") else ""
    return f"{parent}{separator}{field}"
