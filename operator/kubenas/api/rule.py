"""Checks of the resources, each declared once: in CEL for the apiserver, in Python for files that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel, to_snake
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from kubenas.api.errors import SpecError, refuse, repeats

V = TypeVar("V")
_VALIDATIONS = "x-kubernetes-validations"


def keyed(*keys: str) -> dict[str, Any]:
    """Schema extension of a list whose items differ in `keys`; only the apiserver checks it."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


# Schema extension of a list that is replaced as a whole: for many items, each of which would else be once more in the
# object's managed fields.
WHOLE: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}


class Check(Protocol):
    """Something that a value must hold to, in a cluster and in a file."""

    def add_to(self, schema: JsonSchemaValue) -> None:
        """Tell the apiserver, by the value's schema."""

    def problems(self, value: Any) -> Iterator[SpecError]:
        """What is wrong with the value."""


@dataclass(frozen=True, kw_only=True)
class _Declared:
    """What all rules have.

    Attributes:
        cel: the condition as the apiserver evaluates it, `self` being the value with its defaults.
        message: what is wrong and what to do, as a phrase that follows the field's path.
        subject: what the apiserver's message begins with: it shows the whole value between path and message.
        field: path below the value of what the message is about, for example ``min``.
    """

    cel: str
    message: str
    subject: str = ""
    field: str = ""

    def _extension(self, path: str = "") -> dict[str, str]:
        message = f"{self.subject} {self.message}" if self.subject else self.message
        return {"rule": self.cel, "message": message} | ({"fieldPath": f".{path}"} if path else {})


@dataclass(frozen=True, kw_only=True)
class Rule(_Declared, Generic[V]):
    """A condition on a value.

    Attributes:
        holds: `cel` in Python.
    """

    holds: Callable[[V], bool]

    def add_to(self, schema: JsonSchemaValue) -> None:
        """Tell the apiserver, by the value's schema."""
        # A resource's metadata has no schema that a path could lead through.
        path = "" if self.field.startswith("metadata.") else self.field
        schema.setdefault(_VALIDATIONS, []).append(self._extension(path))

    def problems(self, value: V) -> Iterator[SpecError]:
        """What is wrong with the value, if anything is."""
        if not self.holds(value):
            yield SpecError(self.field, self.message)


def only(choice: str, options: Sequence[str], field: str) -> Rule[Any]:
    """The rule that keeps a model's field to some options of another field.

    Args:
        choice: name of that other field, which is one word.
        options: those that the field is of.
        field: its name in Python.
    """
    name = to_camel(field)
    return Rule(
        cel=f"self.{choice} in {[*options]} || !has(self.{name})",
        message=f"is of {choice} {' or '.join(options)} only: remove it, or choose that {choice}",
        field=name,
        holds=lambda model: getattr(model, choice) in options or getattr(model, field) is None,
    )


@dataclass(frozen=True, kw_only=True)
class ItemRule(_Declared, Generic[V]):
    """A condition on the items of a model's list, each of which may depend on others.

    CEL cannot tell which item breaks it: the apiserver's message names the list, the one of a file the item.

    Attributes:
        items: name of the list, which is `self` to `cel`.
        holds: whether an item is as it must be, by the list and its index; `cel` says the same of all of them.
    """

    items: str
    holds: Callable[[Sequence[V], int], bool]

    def add_to(self, schema: JsonSchemaValue) -> None:
        """Tell the apiserver, by the model's schema."""
        schema["properties"][self.items].setdefault(_VALIDATIONS, []).append(self._extension())

    def problems(self, model: object) -> Iterator[SpecError]:
        """What is wrong, by item."""
        items = getattr(model, to_snake(self.items))
        for index in range(len(items)):
            if not self.holds(items, index):
                yield SpecError(f"{self.items}[{index}].{self.field}", self.message)


@dataclass(frozen=True)
class Unique:
    """The items of a model's list differ, or their fields `key` do: a set or a map to the apiserver."""

    items: str
    key: str = ""

    def add_to(self, schema: JsonSchemaValue) -> None:
        """Tell the apiserver, by the model's schema."""
        schema["properties"][self.items] |= keyed(self.key) if self.key else {"x-kubernetes-list-type": "set"}

    def problems(self, model: object) -> Iterator[SpecError]:
        """What is there twice."""
        items = getattr(model, to_snake(self.items)) or ()
        field = to_snake(self.key)
        yield from repeats(self.items, (getattr(item, field) for item in items) if field else items, self.key)


@dataclass(frozen=True, kw_only=True)
class Transition(_Declared):
    """Annotation of a field with a condition on what it was before, `oldSelf` in CEL; a file has no before."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        return {**found, _VALIDATIONS: [*found.get(_VALIDATIONS, ()), self._extension()]}


@dataclass(frozen=True)
class Checked(Generic[V]):
    """Annotation of a type of fields that must hold to a rule."""

    rule: Rule[V]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        self.rule.add_to(found)
        return found

    def _checked(self, value: V) -> V:
        refuse(self.rule.problems(value))
        return value
