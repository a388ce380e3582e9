"""Values of decisions in the trial template."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.space import Preset, SearchSpace
from kubenas.api.trial import Candidate
from kubenas.api.validate import read_experiment
from kubenas.experiment.placeholders import placeholder_problems, substitute
from kubenas.experiment.validation import resolve_spec
from kubenas.space.load import build_space
from tests.api.manifests import changed

# `momentum` is decided only where the optimizer is sgd.
PARAMETERS = [
    {"name": "optimizer", "type": "choice", "values": ["sgd", "adam"]},
    {"name": "momentum", "type": "float", "min": 0, "max": 1, "when": {"parameter": "optimizer", "values": ["sgd"]}},
    {"name": "units", "type": "int", "min": 1, "max": 8},
]
TRAINER = "spec.trialTemplate.spec.containers[0]"


def filled(document: Any, **architecture: Any) -> Any:
    return substitute(document, [Candidate(id="0", name="", architecture=architecture, epochs=1)])


def problems(template: dict[str, Any], candidates: int = 1) -> list[tuple[str, str]]:
    document = changed(
        ("spec.searchSpace", {"parameters": PARAMETERS}),
        ("spec.trialTemplate.spec", template),
        ("spec.trials.candidatesPerTrial", candidates),
    )
    return [(problem.field, problem.message) for problem in resolve_spec(read_experiment(document).spec).problems]


def trainer_problems(**trainer: Any) -> list[tuple[str, str]]:
    return problems({"containers": [{"name": "trainer", **trainer}]})


def test_values_of_decisions() -> None:
    document = {"args": ["--width=$(kubenas.width)", "$(kubenas.act)/$(kubenas.0-1)", "$(HOME)"], "port": 1}
    found = filled(document, width=32, act="relu", **{"0-1": "conv"})
    assert found == {"args": ["--width=32", "relu/conv", "$(HOME)"], "port": 1}


def test_what_is_switched_off_is_left_out_or_has_its_default() -> None:
    document = {
        "args": ["--a", "--momentum=$(kubenas.momentum)", "--beta=$(kubenas.momentum:0.9)", "x$(kubenas.momentum:)"],
        "env": [
            {"name": "MOMENTUM", "value": "$(kubenas.momentum)"},
            {"name": "BETA", "value": "$(kubenas.momentum:0.9)"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
        ],
    }
    off = filled(document, optimizer="adam")
    assert off["args"] == ["--a", "--beta=0.9", "x"]
    assert [variable["name"] for variable in off["env"]] == ["BETA", "TOKEN"]
    on = filled(document, optimizer="sgd", momentum=0.5)
    assert on["args"] == ["--a", "--momentum=0.5", "--beta=0.5", "x0.5"]
    assert [variable.get("value") for variable in on["env"]] == ["0.5", "0.5", None]


def test_the_kubelet_does_not_expand_what_a_value_has() -> None:
    document = {"args": ["$(kubenas.x)", "$$(kubenas.x)"], "nodeSelector": {"zone": "$(kubenas.x)"}}
    found = filled(document, x="$(HOME)$")
    assert found == {"args": ["$$(HOME)$$", "$$(kubenas.x)"], "nodeSelector": {"zone": "$(HOME)$"}}


@pytest.mark.parametrize("preset", get_args(Preset))
def test_every_decision_of_a_preset_can_be_named(preset: Preset) -> None:
    space = build_space(SearchSpace(preset=preset))
    names = list(space.decisions)
    args = [f"$(kubenas.{name}:none)" for name in names]
    assert list(placeholder_problems({"args": args}, "spec", space.decisions, 1)) == []
    assert filled({"args": args}, **dict.fromkeys(names, "on"))["args"] == ["on"] * len(names)


def test_a_default_is_accepted_everywhere() -> None:
    template = {
        "nodeSelector": {"size": "$(kubenas.units)", "momentum": "$(kubenas.momentum:none)"},
        "containers": [
            {
                "name": "trainer",
                "args": ["--m=$(kubenas.momentum)", "--momentum", "$(kubenas.momentum:0)", "--u", "$(kubenas.units)"],
                "env": [{"name": "M", "value": "$(kubenas.momentum)"}],
            }
        ],
    }
    assert problems(template) == []


@pytest.mark.parametrize("text", ["$(kubenas.)", "$(kubenas.units", "$(kubenas.units:$(X))", "$(kubenas.units:a(b))"])
def test_what_is_no_placeholder(text: str) -> None:
    [(field, message)] = trainer_problems(args=[f"--x={text}"])
    assert field == f"{TRAINER}.args[0]"
    assert "is no placeholder: write $(kubenas.NAME) or $(kubenas.NAME:DEFAULT)" in message


@pytest.mark.parametrize("text", ["$(kubenas.0-1)", "$(kubenas.unit)", "$(kubenas. units)", "$(kubenas.unit:3)"])
def test_what_names_no_decision(text: str) -> None:
    [(field, message)] = trainer_problems(env=[{"name": "A", "value": text}])
    assert field == f"{TRAINER}.env[0].value"
    assert "names no decision of the search space, which has momentum, optimizer, units" in message


def test_a_flag_would_lose_its_value() -> None:
    [(field, message)] = trainer_problems(args=["--momentum", "$(kubenas.momentum)"])
    assert field == f"{TRAINER}.args[1]"
    assert (
        "write one argument, --momentum=$(kubenas.momentum), or give a default, $(kubenas.momentum:DEFAULT)" in message
    )


def test_a_field_would_lose_its_value() -> None:
    [(field, message)] = trainer_problems(image="trainer:$(kubenas.momentum)")
    assert field == f"{TRAINER}.image"
    assert "has no value where optimizer switches it off: give a default, $(kubenas.momentum:DEFAULT)" in message


def test_several_candidates_have_several_values() -> None:
    template = {"containers": [{"name": "trainer", "args": ["$(kubenas.momentum:1)", "--u=$(kubenas.units)"]}]}
    assert [message for _, message in problems(template, candidates=2)] == [
        "$(kubenas.momentum:1) needs trials.candidatesPerTrial to be 1",
        "$(kubenas.units) needs trials.candidatesPerTrial to be 1",
    ]


@given(
    st.lists(
        st.text("$()kubenas.momtu:=-x0", max_size=24) | st.sampled_from(["$(kubenas.momentum)", "$(kubenas.units)"])
    )
)
def test_an_accepted_template_keeps_no_placeholder(args: list[str]) -> None:
    space = build_space(SearchSpace.model_validate({"parameters": PARAMETERS}))
    document = {"args": [f"--x={text}" for text in args]}
    if list(placeholder_problems(document, "spec", space.decisions, 1)):
        return
    for architecture in ({"optimizer": "adam", "units": 3}, {"optimizer": "sgd", "momentum": 0.5, "units": 3}):
        for text in filled(document, **architecture)["args"]:
            assert "$(kubenas." not in text.replace("$$", "")
