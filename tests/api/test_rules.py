"""The two sides of each rule, CEL for the apiserver and Python for files, give the same answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from kubenas.api.base import DURATION, Duration, Metadata, Ruled
from kubenas.api.budget import Budget
from kubenas.api.cell import Cell
from kubenas.api.costs import CostValue
from kubenas.api.device import Device
from kubenas.api.errors import SpecError, problems_of
from kubenas.api.evaluation import Evaluation
from kubenas.api.experiment import Autoscale, ExperimentSpec, NASExperiment
from kubenas.api.fidelity import Fidelity
from kubenas.api.objective import MAX_OBJECTIVES, Objective
from kubenas.api.parameter import Condition, Parameter, Repeat
from kubenas.api.rule import ItemRule, Rule
from kubenas.api.search import Search
from kubenas.api.space import SearchSpace
from kubenas.api.stage import MAX_STAGES, Keep, Stage, StageTrials
from kubenas.api.storage import Storage
from kubenas.api.task import Dataset
from kubenas.api.validate import read_experiment
from tests.api import test_round_trip as valid
from tests.api.manifests import VALID
from tests.api.test_conventions import NODES
from tests.properties import examples

AnyRule: TypeAlias = Rule[Any] | ItemRule[Any]
Drawn = st.SearchStrategy[Any]


@st.composite
def mutated(draw: st.DrawFn, strategy: Drawn, others: Mapping[str, Drawn] | None = None) -> Any:
    """A model, valid or not: each field is that of one of two valid models, its default, or one of `others`."""
    models = draw(st.lists(strategy, min_size=2, max_size=2))
    fields = {}
    for name, field in type(models[0]).model_fields.items():
        choices = [st.just(getattr(model, name)) for model in models]
        if not field.is_required():
            choices.append(st.just(field.get_default(call_default_factory=True)))
        if others and name in others:
            choices.append(others[name])
        fields[name] = draw(st.one_of(choices))
    return type(models[0]).model_construct(**fields)


VALID_EXPERIMENT = st.just(read_experiment(VALID))
few = st.integers(-2, 2).map(float)
bounds = st.sampled_from([-1e15, -1.5, -1.0, 0.0, 0.5, 1.5, 2.0, 1e15]) | st.floats(-1e15, 1e15)
stages = st.builds(
    Stage,
    name=valid.names,
    search=st.sampled_from([None, Search(algorithm="random")]),
    trials=st.builds(StageTrials, max=st.sampled_from([None, 1])),
    keep=st.sampled_from([None, Keep(top=1)]),
)
on_a_device = st.sampled_from(
    [None, Device(node_selector={"board": "phone"}), Device(node_selector={"board": "phone"}, price_class="board")]
)
objective_lists = st.lists(
    st.builds(Objective, metric=valid.metric_names, measured_on=on_a_device),
    min_size=1,
    max_size=MAX_OBJECTIVES,
    unique_by=lambda objective: objective.metric,
)
budgets = st.sampled_from(
    [Budget(), Budget(cost=1.0), *(Budget(prices={name: 1.0}) for name in ("elsewhere", "default"))]
)
storages = st.sampled_from([None, Storage(volume_claim="kept")])
stage_lists = st.lists(stages, max_size=MAX_STAGES, unique_by=lambda stage: stage.name)
object_names = st.from_regex(r"[-.a-zA-Z0-9]{1,4}", fullmatch=True) | st.integers(50, 54).map("n".__mul__)

# Every model with rules, valid or not.
MODELS: dict[type[Ruled], Drawn] = {
    Autoscale: mutated(valid.autoscales, {"min": st.integers(1, 9), "max": st.integers(1, 9)}),
    Cell: mutated(valid.cells, {"edges": st.just([[0, 2]])}),
    Condition: mutated(valid.whens),
    CostValue: mutated(valid.cost_values),
    Dataset: mutated(valid.datasets),
    Evaluation: mutated(valid.evaluations),
    # Each field is also given where the scheduler has no use for it.
    Fidelity: mutated(
        valid.fidelities,
        {
            "mode": st.just("stopping"),
            "chance": st.just(0.5),
            **{name: st.just(2) for name in ("min_epochs", "eta", "min_results", "patience", "top")},
        },
    ),
    ExperimentSpec: mutated(
        VALID_EXPERIMENT.map(lambda one: one.spec),
        {
            "stages": stage_lists,
            "objectives": objective_lists,
            "storage": storages,
            "budget": budgets,
            "workload_priority_class": st.sampled_from([None, "high"]),
            "queue_name": st.sampled_from([None, None, "gpus"]),
        },
    ),
    Keep: mutated(valid.keeps),
    NASExperiment: mutated(VALID_EXPERIMENT, {"metadata": st.builds(Metadata, name=object_names)}),
    Objective: mutated(
        valid.objectives, {"metric": valid.metric_names.map("test_{}".format), "target": few, "limit": few}
    ),
    Parameter: mutated(
        valid.parameters, {"type": st.just("int"), "min": bounds, "max": bounds, "scale": st.just("log")}
    ),
    Repeat: mutated(valid.repeats),
    SearchSpace: mutated(valid.search_spaces),
    Storage: st.builds(
        Storage.model_construct,
        volume_claim=st.sampled_from([None, "nas-artifacts"]),
        url=st.sampled_from(
            [None, "s3://artifacts/nas", "gs://artifacts", "http://artifacts", "s3://key:secret@artifacts"]
        ),
        secret=st.sampled_from([None, "credentials"]),
    ),
}
durations = st.builds("{}h{}m{}s".format, *[st.just(0) | st.integers(0, 999_999)] * 3)

CRD_RULES = [rule["rule"] for node in NODES for rule in node.schema.get("x-kubernetes-validations", ())]


def agree(rules: Sequence[AnyRule], drawn: Drawn, refusals: Callable[[Any], list[SpecError]]) -> None:
    """Each rule has the same answer on both sides, is seen to hold and to fail, and is told by `refusals`."""
    programs = [cel.compile(rule.cel) for rule in rules]
    seen = set()

    @examples(500)
    @given(drawn)
    def check(value: Any) -> None:
        document = value.dump() if isinstance(value, Ruled) else value
        refused = set(map(str, refusals(document)))
        for rule, program in zip(rules, programs, strict=True):
            problems = set(map(str, rule.problems(value)))
            part = document[rule.items] if isinstance(rule, ItemRule) else document
            assert program.execute({"self": part}) is (not problems)
            assert problems <= refused
            seen.add((rule.cel, not problems))

    check()
    assert seen == {(rule.cel, holds) for rule in rules for holds in (True, False)}


def by_rules(model: type[Ruled]) -> list[AnyRule]:
    return [rule for rule in model.rules if isinstance(rule, Rule | ItemRule)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_s_rules_have_the_same_answer_in_cel_and_python(model: type[Ruled]) -> None:
    agree(by_rules(model), MODELS[model], lambda document: refusals(model.model_validate, document))


def test_a_duration_s_rule_has_the_same_answer_in_cel_and_python() -> None:
    validate = TypeAdapter(Duration).validate_python
    agree([DURATION.rule], durations, lambda text: refusals(validate, text))


def refusals(validate: Callable[[Any], Any], document: Any) -> list[SpecError]:
    try:
        validate(document)
    except ValidationError as error:
        return problems_of(error)
    return []


def test_no_rule_of_the_crds_is_left_out() -> None:
    assert {rule for rule in CRD_RULES if "oldSelf" not in rule} == {
        *(rule.cel for model in MODELS for rule in by_rules(model)),
        DURATION.rule.cel,
    }
