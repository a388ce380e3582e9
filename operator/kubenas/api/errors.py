"""What is wrong with a resource that a user wrote, and in which field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def refuse_repeats(field: str, values: Sequence[object] | None, key: str = "") -> None:
    """Refuse a list in which a value, or the value of its items' field `key`, is there twice.

    Raises:
        SpecError: on the second of them.
    """
    listed = values or ()
    for index, value in enumerate(listed):
        if value in listed[:index]:
            at, each = (f"{field}[{index}].{key}", f"each {key}") if key else (f"{field}[{index}]", "each")
            raise SpecError(at, f"{value!r} is there twice: {each} must be unique")


def problems_of(error: ValidationError) -> list[SpecError]:
    """Every problem that a model has found, each with the path from the model's root.

    A validator that raises a `SpecError` names the field relative to its own model.
    """
    return [_problem(details) for details in error.errors(include_url=False)]


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
