"""What is written is read again: models, their JSON, and models once more."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.base import Condition, Metadata, MetricValue, Model, duration_seconds, time_text
from kubenas.api.budget import Budget
from kubenas.api.cell import Cell
from kubenas.api.costs import CostTable, CostTerm, CostValue
from kubenas.api.evaluation import Combination, Evaluation, Sampler, SupernetRule
from kubenas.api.experiment import (
    Autoscale,
    ExperimentSpec,
    NASExperiment,
    Trials,
)
from kubenas.api.fidelity import Fidelity
from kubenas.api.macro import Macro, MacroStage
from kubenas.api.objective import Objective
from kubenas.api.parameter import Condition as When
from kubenas.api.parameter import Parameter, Repeat
from kubenas.api.search import Search
from kubenas.api.space import Preset, SearchSpace
from kubenas.api.stage import Keep, Stage, StageTrials
from kubenas.api.status import Best, Counts, ExperimentStatus, Measured
from kubenas.api.storage import Storage
from kubenas.api.task import Dataset, Task
from kubenas.api.template import Alternative, TrialTemplate
from kubenas.api.trial import Candidate, ClassSeconds, Failure, Point, Result, TrialSpec, TrialStatus

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
metric_names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True).filter(lambda name: name[:5] != "test_")
numbers = st.floats(allow_nan=False, allow_infinity=False)
times = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
texts = st.text(st.characters(codec="utf-8"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
free_objects = st.dictionaries(texts, json_values, max_size=3)
durations = st.builds("{}h{}m{}s".format, st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))


def made(model: type[Model], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def distinct(strategy: st.SearchStrategy[Any], key: str, least: int = 0) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=least, max_size=4, unique_by=lambda item: getattr(item, key))


identifiers = metric_names.filter(lambda name: name[0] != "_")
values = st.lists(texts.filter(bool), min_size=1, max_size=4, unique=True)
whole = st.integers(1, 1000).map(float)


def either(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Just one of the fields."""
    return st.one_of(*(st.fixed_dictionaries({name: strategy}) for name, strategy in fields.items()))


def chosen(model: type[Model], *parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """A model with the fields of all parts."""
    return st.tuples(*parts).map(lambda drawn: model(**{name: value for part in drawn for name, value in part.items()}))


def unique(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=1, max_size=3, unique=True)


domains = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["choice", "ordinal"]), "values": values}),
    st.fixed_dictionaries({"type": st.just("ordinal"), "numbers": unique(whole | st.floats(-1e15, 1e15))}),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["int", "float"]),
            "min": st.integers(1, 10).map(float),
            "max": st.integers(10, 10**15).map(float),
            "scale": st.sampled_from(["linear", "log"]),
        }
    ),
)
whens = chosen(When, st.fixed_dictionaries({"parameter": identifiers}), either(values=values, min=whole))
repeats = chosen(Repeat, either(times=st.integers(1, 64), count=identifiers))
parameters = chosen(
    Parameter,
    st.fixed_dictionaries({"name": identifiers, "when": optional(whens), "repeat": optional(repeats)}),
    domains,
)
cell_names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,10}", fullmatch=True)
operations = st.fixed_dictionaries({"operations": unique(cell_names), "cells": optional(unique(cell_names))})
cells = st.one_of(
    chosen(
        Cell,
        operations,
        st.sampled_from([{"nodes": 3}, {"nodes": 3, "edges": [[0, 2], [0, 1]]}]),
        st.fixed_dictionaries({"operations_on": st.sampled_from(["edges", "nodes"])}),
    ),
    chosen(Cell, operations, st.fixed_dictionaries({"nodes": st.integers(3, 12), "inputs": st.integers(1, 2)})),
    chosen(
        Cell,
        operations,
        st.fixed_dictionaries(
            {"nodes": st.integers(2, 7), "max_edges": st.integers(1, 66), "operations_on": st.just("nodes")}
        ),
    ),
)
stages_of_blocks = made(
    MacroStage,
    name=cell_names,
    depth=unique(st.integers(0, 32)),
    width=optional(unique(st.integers(1, 10**6))),
    operation=optional(unique(texts.filter(bool))),
    kernel=optional(unique(st.integers(1, 99))),
    expansion=optional(unique(st.floats(0.25, 1000))),
)
macros = made(Macro, resolution=optional(unique(whole.map(int))), stages=distinct(stages_of_blocks, "name", least=1))
cost_values = chosen(CostValue, either(value=texts.filter(bool), number=whole), st.fixed_dictionaries({"add": whole}))
terms = made(CostTerm, parameter=identifiers, values=st.lists(cost_values, min_size=1, max_size=4))
cost_tables = made(CostTable, name=metric_names, base=whole, terms=distinct(terms, "parameter", least=1))
search_spaces = chosen(
    SearchSpace,
    either(
        preset=st.sampled_from(get_args(Preset)),
        parameters=distinct(parameters, "name", least=1),
        cell=cells,
        macro=macros,
    ),
    st.fixed_dictionaries(
        {
            "costs": optional(distinct(cost_tables, "name", least=1)),
            "constraints": optional(st.lists(texts.filter(bool), min_size=1, max_size=16)),
        }
    ),
)
metrics = distinct(made(MetricValue, name=metric_names, value=numbers), "name")
conditions = distinct(
    made(
        Condition,
        type=metric_names,
        status=st.sampled_from(["True", "False", "Unknown"]),
        reason=st.just("AsExpected"),
        message=texts,
        observed_generation=st.integers(0, 99),
        last_transition_time=times,
    ),
    "type",
)


proxy_names = st.from_regex(r"[a-z0-9]([-_a-z0-9]{0,9}[a-z0-9])?", fullmatch=True)
weights = st.floats(0, 1e6)
evaluations = st.one_of(
    made(Evaluation, epochs=optional(st.integers(1, 99)), seeds=st.integers(1, 32), inherit=optional(st.booleans())),
    made(
        Evaluation,
        method=st.just("zero-cost"),
        seeds=st.integers(1, 32),
        proxies=optional(unique(proxy_names)),
        combine=optional(st.sampled_from(get_args(Combination))),
        input=optional(st.sampled_from(["noise", "data"])),
    ),
    made(
        Evaluation,
        method=st.just("supernet"),
        epochs=optional(st.integers(1, 99)),
        rule=optional(st.sampled_from(get_args(SupernetRule))),
        complexity_aware_rate=optional(st.booleans()),
    ),
    made(
        Evaluation,
        method=st.just("differentiable"),
        epochs=optional(st.integers(1, 99)),
        sampler=optional(st.sampled_from(get_args(Sampler))),
        order=optional(st.sampled_from(["first", "second"])),
        perturbation=optional(st.sampled_from(["none", "random"])),
        partial_channels=optional(st.integers(1, 64)),
        beta_decay=optional(weights),
        flops_penalty=optional(weights),
        pruning=optional(st.booleans()),
    ),
)
counts = st.integers(1, 99)
fidelities = st.one_of(
    made(Fidelity),
    made(
        Fidelity,
        scheduler=st.sampled_from(["hyperband", "pasha"]),
        min_epochs=optional(counts),
        eta=optional(st.integers(2, 64)),
    ),
    made(
        Fidelity,
        scheduler=st.just("asha"),
        min_epochs=optional(counts),
        eta=optional(st.integers(2, 64)),
        mode=optional(st.sampled_from(["stopping", "promotion"])),
        top=optional(counts),
    ),
    made(Fidelity, scheduler=st.just("median"), min_epochs=optional(counts), min_results=optional(counts)),
    made(
        Fidelity,
        scheduler=st.just("extrapolation"),
        min_epochs=optional(counts),
        min_results=optional(counts),
        chance=optional(st.floats(0.01, 0.5)),
    ),
    made(Fidelity, scheduler=st.just("patience"), min_epochs=optional(counts), patience=optional(counts)),
    made(Fidelity, scheduler=st.just("one-epoch"), min_epochs=optional(counts), top=optional(counts)),
)
keeps = st.one_of(made(Keep, top=counts), made(Keep, front=st.just(value=True), max=counts))


@st.composite
def funnels(draw: st.DrawFn) -> list[Stage]:
    stages = [
        Stage(
            name=name,
            evaluation=draw(optional(evaluations)),
            fidelity=draw(optional(fidelities)),
            trials=StageTrials(candidates_per_trial=draw(optional(st.integers(1, 1024)))),
            keep=draw(keeps),
        )
        for name in draw(st.lists(names, max_size=4, unique=True))
    ]
    return [*stages[:-1], stages[-1].model_copy(update={"keep": None})] if stages else []


objectives = made(
    Objective, metric=metric_names, goal=st.sampled_from(["maximize", "minimize"]), target=optional(numbers)
)
datasets = chosen(Dataset, either(name=names, path=texts.filter(bool)))
autoscales = made(Autoscale, min=st.integers(1, 5), max=st.integers(5, 10_000), max_pending=st.integers(1, 1000))
searches = made(
    Search,
    algorithm=st.sampled_from(["random", "regularized-evolution"]),
    seed=st.integers(0, 2**53 - 1),
    settings=free_objects,
)
experiment_specs = made(
    ExperimentSpec,
    objectives=distinct(objectives, "metric", least=1),
    task=made(Task, name=names, dataset=optional(datasets), settings=free_objects),
    search_space=search_spaces,
    search=searches,
    evaluation=evaluations,
    fidelity=fidelities,
    stages=funnels(),
    trials=made(
        Trials,
        max=st.integers(1, 1000),
        timeout=optional(durations),
        autoscale=optional(autoscales),
        scale_down=st.sampled_from(["Finish", "Pause"]),
    ),
    budget=made(
        Budget,
        gpu_hours=optional(st.floats(0.1, 1e9)),
        cost=optional(st.floats(0.1, 1e9)),
        prices=st.just({"spot": 0.5, "on-demand": 3.0}),
        wall_clock=optional(durations),
    ),
    trial_template=made(
        TrialTemplate,
        price_class=st.just("spot"),
        spec=free_objects,
        alternatives=distinct(
            made(
                Alternative,
                after_disruptions=st.integers(1, 1000),
                price_class=st.sampled_from(["spot", "on-demand"]),
                queue_name=optional(names),
                spec=free_objects,
            ),
            "after_disruptions",
        ),
    ),
    storage=optional(
        made(Storage, volume_claim=names, checkpoint_every=optional(durations))
        | made(Storage, url=st.just("s3://artifacts/nas"), secret=optional(names), checkpoint_every=optional(durations))
    ),
    suspend=st.booleans(),
    ttl_seconds_after_finished=optional(st.integers(0, 2**31 - 1)),
)
bests = made(
    Best,
    trial=names,
    candidate=names,
    value=numbers,
    seeds=optional(st.integers(1, 32)),
    name=texts,
    architecture=free_objects,
    metrics=distinct(made(Measured, name=metric_names, value=numbers, spread=optional(numbers.map(abs))), "name"),
)
experiment_statuses = made(
    ExperimentStatus,
    observed_generation=optional(st.integers(0, 99)),
    conditions=conditions,
    start_time=optional(times),
    counts=optional(made(Counts, running=st.integers(0, 99))),
    best=optional(bests),
    finalists=distinct(bests, "trial"),
)
trial_specs = made(
    TrialSpec,
    number=st.integers(0, 10**6),
    results_seen=st.integers(0, 10**6),
    stage=optional(names),
    seed=st.integers(0, 31),
    continues=optional(st.integers(0, 10**6)),
    supernet=optional(texts),
    candidates=distinct(
        made(
            Candidate,
            id=names,
            name=texts,
            architecture=optional(free_objects),
            epochs=optional(st.integers(1, 99)),
            resume_from=optional(texts),
        ),
        "id",
        least=1,
    ),
)
trial_statuses = made(
    TrialStatus,
    phase=optional(st.sampled_from(["Pending", "Queued", "Running", "Succeeded", "Pruned", "Failed"])),
    conditions=conditions,
    completion_time=optional(times),
    disruptions=st.integers(0, 9),
    gpu_seconds=st.floats(0, 1e9),
    class_seconds=distinct(
        made(ClassSeconds, price_class=st.sampled_from(["a", "b"]), seconds=st.floats(0, 1e9)), "price_class"
    ),
    results=distinct(
        made(Result, candidate=names, step=st.integers(0, 99), metrics=metrics, source=st.just("TerminationMessage")),
        "candidate",
    ),
    curve=distinct(made(Point, candidate=names, step=st.integers(0, 99), metrics=metrics), "step"),
    last_failure=optional(made(Failure, attempt=st.integers(1, 9), reason=names, message=texts, time=times)),
)


@given(st.one_of(experiment_specs, experiment_statuses, trial_specs, trial_statuses))
def test_a_model_survives_its_json(model: Model) -> None:
    document = json.loads(json.dumps(model.dump(), allow_nan=False))
    assert type(model).model_validate(document) == model
    assert None not in document.values()


@given(experiment_specs, experiment_statuses, names)
def test_an_experiment_survives_its_json(spec: ExperimentSpec, status: ExperimentStatus, name: str) -> None:
    experiment = NASExperiment(metadata=Metadata(name=name), spec=spec, status=status)
    document = json.loads(json.dumps(experiment.dump(), allow_nan=False))
    assert NASExperiment.model_validate(document) == experiment


@given(times, st.integers(-12 * 60, 12 * 60))
def test_a_time_survives_its_text_in_any_time_zone(moment: datetime, minutes: int) -> None:
    assert datetime.fromisoformat(time_text(moment)) == moment
    elsewhere = (moment + timedelta(minutes=minutes)).isoformat()
    assert time_text(datetime.fromisoformat(elsewhere)) == time_text(moment + timedelta(minutes=minutes))


@given(st.integers(0, 999_999), st.integers(0, 999_999), st.integers(1, 999_999))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    assert duration_seconds(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds
    assert duration_seconds(f"{seconds}s") == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5", "1d", "-1s", "0s", "0h0m", "1m1h", "1.5h", " 1h", "1000000s", "\u0661s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration_seconds(text)
