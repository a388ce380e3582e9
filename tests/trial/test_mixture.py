"""A mixed network holds the networks of all architectures: with weights on one alone it computes what that one does."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch.nn import BatchNorm2d

from kubenas.api.space import SearchSpace
from kubenas.api.task import Task as TaskSpec
from kubenas_trial.differentiable.mixture import MixedOperation, Mixture
from kubenas_trial.differentiable.regularizers import operation_flops
from kubenas_trial.differentiable.samplers.load import SAMPLERS
from kubenas_trial.measure.cost import count_flops
from kubenas_trial.tasks.load import AnyTask, load_task

OPERATIONS = ["nothing", "as_it_is", "conv_3x3", "max_pool_3x3"]
SPACES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nasbench201": ({"preset": "nasbench201"}, {"channels": 4, "cellsPerStack": 1}),
    "darts": ({"preset": "darts"}, {"channels": 4, "cells": 3}),
    "one input": (
        {"cell": {"nodes": 3, "operations": OPERATIONS, "none": "nothing", "skip": "as_it_is", "cells": ["a", "b"]}},
        {"channels": 4, "cellsPerStack": 2},
    ),
    "one reads one": (
        {"cell": {"nodes": 4, "inputs": 1, "operations": ["conv_3x3", "skip_connect"], "cells": ["normal"]}},
        {"channels": 4, "cells": 3},
    ),
    "nodes": (
        {"cell": {"nodes": 4, "edges": [[0, 1], [1, 2], [0, 2], [2, 3]], "operations": ["conv_1x1", "conv_3x3"]}
         | {"operationsOn": "nodes"}},
        {"channels": 4, "cellsPerStack": 1},
    ),
}  # fmt: skip


def task_of(network: dict[str, Any], **settings: Any) -> AnyTask:
    document = {
        "name": "image-classification",
        "dataset": {"name": "digits"},
        "settings": {"batchSize": 32, "network": network, **settings},
    }
    return load_task(TaskSpec.model_validate(document), None, torch.device("cpu"))


def mixture_of(space: str, sampler: str = "darts", parts: int = 1) -> tuple[AnyTask, Mixture]:
    document, network = SPACES[space]
    task = task_of(network)
    torch.manual_seed(0)
    return task, Mixture(task, SearchSpace.model_validate(document), SAMPLERS[sampler], parts)


@pytest.mark.parametrize("space", SPACES)
def test_with_one_architecture_alone_it_computes_what_that_one_does(space: str) -> None:
    task, mixture = mixture_of(space)
    [images] = task.data.validation[list(range(8))].inputs
    mixture.train()
    # Statistics of normalization that are no longer those of the start.
    mixture(images)
    mixture.eval()
    for seed in range(5):
        architecture = mixture.space.sample(Random(seed))
        alone = task.build(architecture, SearchSpace.model_validate(SPACES[space][0]))
        state = mixture.network.state_dict()
        # Parameters of the same name.
        alone.load_state_dict({name: state[name] for name in alone.state_dict()})
        alone.eval()
        with torch.no_grad(), mixture.weighted(architecture):
            assert torch.allclose(mixture(images), alone(images), atol=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_what_is_derived_is_an_architecture_of_the_space(space: str) -> None:
    _, mixture = mixture_of(space, parts=2)
    architecture = mixture.derive()
    assert mixture.space.parse(architecture.to_json()) == architecture
    # The best of all by the alphas: raised, another one's operations are derived.
    other = mixture.space.sample(Random(1))
    with torch.no_grad():
        for alphas, strengths, choices in zip(mixture.alphas, mixture.strengths, mixture.choices, strict=True):
            for place, index in enumerate(choices.chosen(other)):
                if index is not None:
                    alphas[place, index] += 5
                    strengths[place] += 5
    assert mixture.space.key(mixture.derive()) == mixture.space.key(other)


def test_mixed_operations_learn_no_scale_that_could_undo_their_weights() -> None:
    _, mixture = mixture_of("darts")
    mixed = [one for one in mixture.modules() if isinstance(one, MixedOperation)]
    norms = [norm for one in mixed for norm in one.modules() if isinstance(norm, BatchNorm2d)]
    assert norms
    assert not any(parameter.requires_grad for norm in norms for parameter in norm.parameters())
    names = {name for name, _ in mixture.learned}
    assert "head.2.weight" in names
    assert not any("alphas" in name for name in names)


def test_gdas_computes_one_operation_of_each_place() -> None:
    task, mixture = mixture_of("nasbench201", "gdas")
    computed: list[str] = []
    for one in mixture.modules():
        if isinstance(one, MixedOperation):
            for name, module in one.named_children():
                module.register_forward_hook(lambda *_, of=f"{one.label} {name}": computed.append(of))
    mixture.train()
    mixture(*task.example(4))
    # Three cells, which share their draw.
    assert len(computed) <= 3 * 6
    assert len({name.partition(" ")[0] for name in computed}) == len(set(computed))


def test_flops_of_operations_are_those_that_they_add_to_an_architecture() -> None:
    task, mixture = mixture_of("nasbench201")
    [flops] = operation_flops(mixture, task.example())
    [choices] = mixture.choices
    space = SearchSpace.model_validate({"preset": "nasbench201"})
    nothing = mixture.space.parse(dict.fromkeys(mixture.space.decisions, "none"))
    least = count_flops(task.build(nothing, space), task.example())
    for seed in range(3):
        architecture = mixture.space.sample(Random(seed))
        own = count_flops(task.build(architecture, space), task.example())
        chosen = enumerate(choices.chosen(architecture))
        expected = sum(flops[place, index] for place, index in chosen if index is not None)
        assert own - least == pytest.approx(float(expected), abs=own / 100)
