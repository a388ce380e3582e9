"""YAML is read as kubectl reads it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.api.base import MAX_DEPTH
from kubenas.api.document import DocumentError, read_document
from tests.properties import examples

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

WORDS = ["y", "yes", "true", "on", "n", "no", "false", "off", "null", "nan", "inf", "yEs", "oN", "None", "~", "t", "f"]
NUMBERS = """
    1e-3 3e-4 1E5 1e6 1e+3 1e20 1e21 1e22 1e400 -1e400 1. 1.0 12.50 .5 -.5 +.5 ._5 .1_5 .5e3 1e 1e1_0 -0 -0.0 +0
    0 7 017 08 0o17 0O17 00 0_7 0x1F 0X1f -0x1F 0b101 0B11 -0b11 0x 0b2 1_000 _1 1__0 1_ +1 -1 + . .. -- 0x1p3
    1.23456789012345678e17
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551616
    2020-01-01 2020-01-01T00:00:00Z 190:20:30 1:2 1,000 1.2.3 = << a.b
"""
SCALARS = [
    *[form for word in WORDS for form in (word, word.capitalize(), word.upper(), f'"{word}"')],
    *NUMBERS.split(),
    *["!!str 5", "!!str yes", "!!float 3", "!!int '7'", "!!bool 'yes'", "!foo 5", "'5'", '"\\x41\\u00e9\\n"', "ä€😀"],
    *["|\n    text\n    more", ">-\n    folded\n    text", "", "''", "{b: [1, y]}", "[1, [a, n], {}]", "a #b"],
]
STRUCTURES = [
    "t: &a {x: 1}\nu: {x: 2, <<: *a}\nv: {<<: *a, x: 2}",
    "a: &a {x: 1, z: 3}\nb: &b {x: 2}\nc: {<<: [*a, *b]}",
    "'<<': {z: 1}",
    "1: a\n'on': b\n-7: c\n010: d",
    "a: &x [1, &y 2]\nb: *x\nc: *y",
    "? a\n: b",
    "!!map {a: !!seq [1]}",
]


def objects(specs: list[str]) -> str:
    """Documents of which each has one of `specs` as its spec."""
    head = "apiVersion: kubenas.io/v1\nkind: Any\nmetadata: {name: x}\nspec:"
    return "---\n".join(head + "".join(f"\n  {line}" for line in spec.splitlines()) + "\n" for spec in specs)


def by_kubectl(control_plane: ControlPlane, text: str) -> list[Any]:
    """What kubectl makes of the documents in `text`; it does not ask the apiserver."""
    answer = control_plane.kubectl("label", "--local", "--filename=-", "a=b", "--output=json", stdin=text)
    # Go writes a whole float without a fraction.
    decoder, found = (
        json.JSONDecoder(parse_int=lambda text: int(text) if -(2**63) <= int(text) < 2**63 else float(text)),
        [],
    )
    while answer := answer.lstrip():
        document, end = decoder.raw_decode(answer)
        answer = answer[end:]
        found.append(document["spec"])
    return found


def ours(text: str) -> Any:
    return json.loads(json.dumps(read_document(text).value["spec"]))


def same(one: Any, other: Any) -> bool:
    """Equal, with booleans, whole numbers and other numbers told apart."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.control_plane
def test_scalars_are_as_kubectl_reads_them(control_plane: ControlPlane) -> None:
    texts = [objects([f"v: {scalar}"]) for scalar in SCALARS]
    found = by_kubectl(control_plane, "---\n".join(texts))
    differing = [
        (text.splitlines()[-1], ours(text), theirs)
        for text, theirs in zip(texts, found, strict=True)
        if not same(ours(text), theirs)
    ]
    assert differing == []


@pytest.mark.control_plane
@pytest.mark.parametrize("spec", STRUCTURES)
def test_structures_are_as_kubectl_reads_them(spec: str, control_plane: ControlPlane) -> None:
    text = objects([spec])
    [theirs] = by_kubectl(control_plane, text)
    assert same(ours(text), theirs)


@pytest.mark.control_plane
@settings(examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("0179abfxobeEyn.+-_", min_size=1, max_size=7), min_size=300, max_size=300))
def test_any_plain_scalar_is_as_kubectl_reads_it(control_plane: ControlPlane, scalars: list[str]) -> None:
    plain = [text for text in scalars if text not in {"-", ".nan"}]
    text = objects(["list:\n" + "\n".join(f"- {scalar}" for scalar in plain)])
    [theirs] = by_kubectl(control_plane, text)
    found = zip(plain, ours(text)["list"], theirs["list"], strict=True)
    assert [(scalar, mine, other) for scalar, mine, other in found if not same(mine, other)] == []


@pytest.mark.control_plane
@pytest.mark.parametrize("text", ['{"a":\n\t{"b": [1.0, 1e3, "\\ud83d\\ude00", "\\/"]}}', "{a: [1e3], b: y}"])
def test_json_is_as_kubectl_reads_it(text: str, control_plane: ControlPlane) -> None:
    document = f'{{"apiVersion": "kubenas.io/v1", "kind": "Any", "metadata": {{"name": "x"}}, "spec": {text}}}'
    [theirs] = by_kubectl(control_plane, document)
    assert ours(document) == theirs


@pytest.mark.parametrize(
    "text",
    ["a: 1\n---\n", "---\na: 1\n---\n# nothing\n---\n", "# first\n---\na: 1", "\ufeffa: 1\n...\n", "a: 1\n--- ~"],
)
def test_empty_documents_do_not_count(text: str) -> None:
    assert read_document(text).value == {"a": 1}


@pytest.mark.parametrize("text", ["~", "null", "---\n"])
def test_nothing_but_null(text: str) -> None:
    assert read_document(text).value is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "is empty"),
        ("# a\n", None, "is empty"),
        ("a: 1\n---\nb: 2", None, "holds 2 documents"),
        ("a: 1\nb: [", 2, "is not YAML"),
        ("a: 1\n\tb: 2", 2, "is not YAML"),
        ("a: 1\ny: 2", 2, "the key y is true in YAML, no string: put it in quotes"),
        ("a: 1\nOff: 2", 2, "the key Off is false in YAML, no string: put it in quotes"),
        ("a: {1.5: 2}", 1, "the key 1.5 is 1.5 in YAML, no string: put it in quotes"),
        ("{~: 2}", 1, "the key ~ is null"),
        ("? [a]\n: 1", 1, "a key must be a string"),
        ("a: !!int x", 1, "'x' is no int"),
        ('a: "\\ud83d"', 1, "half a character"),
        ("a: &a {}\nb: {<<: 3}", 2, "<< needs an object"),
        ("[" * 300 + "]" * 300, 1, "nested deeper than"),
        ("[" * 200_000, 1, "nested deeper than"),
        ('{"a": ' * 100_000, 1, "nested deeper than"),
        ("\n".join("  " * depth + "- " for depth in range(3_000)), MAX_DEPTH + 1, "nested deeper than"),
        ("a: &a [*a]", 1, "nested deeper than"),
        ("a: &a {b: *a}", 1, "nested deeper than"),
    ],
)
def test_what_is_refused(text: str, line: int | None, words: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        read_document(text)
    assert words in str(refusal.value)
    assert refusal.value.line == line


@pytest.mark.parametrize(
    "text",
    [
        "a: &0 [x, x, x, x, x, x, x, x]\n" + "\n".join(f"b{n}: &{n} [{f'*{n - 1}, ' * 8}]" for n in range(1, 12)),
        "a: &0 {x: 1}\n" + "\n".join(f"b{n}: &{n} {{p: *{n - 1}, q: *{n - 1}}}" for n in range(1, 60)),
    ],
)
def test_aliases_that_grow_without_bound_are_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="with its aliases written out"):
        read_document(text)


def test_chained_aliases_may_not_nest_without_bound() -> None:
    text = "a0: &a0 x\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 5_000))
    with pytest.raises(DocumentError, match="nested deeper"):
        read_document(text)


def test_problems_of_fields() -> None:
    document = read_document("a:\n  b: 1\n  c: [1, .inf]\n  b: 2\nd: .NaN")
    assert [(problem.field, document.line(problem.field)) for problem in document.problems] == [
        ("a.c[1]", 3),
        ("a.b", 4),
        ("d", 5),
    ]
    assert "is there twice" in str(document.problems[1])


@given(st.text(max_size=60) | st.text("{}[]:,&*!|>'\"%-?#a1 \n\t\\~<y.", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(DocumentError):
        document = read_document(text)
        assert document.problems or json.dumps(document.value, allow_nan=False)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(-1e15, 1e15)
        # YAML has no way to write the others as they are.
        | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abcdefghi", min_size=1), inner),
    )
)
def test_json_is_read_as_json(value: Any) -> None:
    assert read_document(json.dumps(value)).value == value
