"""What ways to search and to train take in memory: the counted peak of a step, which no device has a part in.

    python -m benchmarks.memory [PRESET …]

Networks as for CIFAR-10: 16 channels, 5 cells a stack or 8 cells, MobileNetV3 at half its width; images of 3 x 32 x 32
pixels, batches of 16. Everything but weights and the optimizer's state grows with the batch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

import torch

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskDocument
from kubenas.space.load import build_space
from kubenas_trial.datasets.data import Batch
from kubenas_trial.differentiable.pruning import operations_at, prune
from kubenas_trial.differentiable.search import Search
from kubenas_trial.document import Evaluation
from kubenas_trial.evaluation.peak import peak_of_training
from kubenas_trial.evaluation.supernet_training import SupernetTraining
from kubenas_trial.step import Step
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.load import rule_class
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.load import AnyTask, load_task

BATCH: Final = 16
NETWORKS: Final[Mapping[str, Mapping[str, Any]]] = {
    "nasbench201": {"channels": 16, "cellsPerStack": 5},
    "darts": {"channels": 16, "cells": 8},
    "mobilenet-ofa": {"width": 0.5},
}
# Of presets of cells.
SEARCHES: Final[Mapping[str, Mapping[str, Any]]] = {
    "DARTS, first order": {"sampler": "darts"},
    "DARTS, second order": {"sampler": "darts", "order": "second"},
    "DrNAS": {"sampler": "drnas"},
    "PC-DARTS (partial channels, K = 4)": {"sampler": "darts", "partial_channels": 4},
    "GDAS (one operation an edge)": {"sampler": "gdas"},
}
_WHOLE: Final = "DARTS, first order"
_STEP: Final = Step(seed=0, number=0, progress=0.0)


def peaks(preset: str) -> Iterator[tuple[str, float]]:
    """Each way and its peak in MB (10^6 bytes)."""
    space = SearchSpace.model_validate({"preset": preset})
    task, saving = task_of(preset), task_of(preset, checkpointActivations=True)
    if preset != "mobilenet-ofa":
        for name, parts in SEARCHES.items():
            yield name, of_search(task, space, parts)
        yield f"{_WHOLE}, activation checkpointing", of_search(saving, space, SEARCHES[_WHOLE])
        for done, left in ((0.4, "5/8"), (0.8, "3/8")):
            yield f"{_WHOLE}, pruned to {left} of the operations", of_search(task, space, SEARCHES[_WHOLE], done)
    yield "supernet, single path", of_supernet(task, space, "single-path")
    yield "supernet, single path, activation checkpointing", of_supernet(saving, space, "single-path")
    yield "supernet, sandwich", of_supernet(task, space, "sandwich")
    largest = max(_drawn(task, space), key=lambda network: sum(each.numel() for each in network.parameters()))
    yield "training of one network", peak_of_training(task, largest)
    yield "training of one network, activation checkpointing", peak_of_training(saving, largest)


def task_of(preset: str, **settings: Any) -> AnyTask:
    """Noise in the shape of CIFAR-10."""
    own = {"batchSize": BATCH, "network": dict(NETWORKS[preset]), "augmentation": False, **settings}
    document = TaskDocument(name="image-classification", dataset=Dataset(name="noise"), settings=own)
    return load_task(document, None, torch.device("cpu"))


def of_search(task: AnyTask, space: SearchSpace, parts: Mapping[str, Any], done: float = 0.0) -> float:
    """The peak of a step of a differentiable search, with the operations that are left when `done` of it are pruned."""
    torch.manual_seed(0)
    search = Search(task, space, Evaluation(method="differentiable", **parts), epochs=1)
    mixture = search.mixture.train()
    with torch.no_grad():
        for weights, kept in zip(mixture.expected(), mixture.kept, strict=True):
            prune(weights, kept, operations_at(done, kept.shape[1]))
    search.step([_batch(task)], _STEP)
    return search.memory["peak_memory_mb"]


def of_supernet(task: AnyTask, space: SearchSpace, rule: str) -> float:
    """The peak of a step of a supernet's training, the largest of some, as sub-networks differ."""
    built, networks = build_space(space), Networks.of(task, space)
    made = rule_class(rule)(built, networks)
    supernet = Supernet.of(built, networks, task.device, made.branches)
    found = []
    for number in range(3):
        training = SupernetTraining(task, supernet, made, epochs=1)
        training.network.train()
        training.step([_batch(task)], replace(_STEP, number=number))
        found.append(training.memory["peak_memory_mb"])
    return max(found)


def _drawn(task: AnyTask, space: SearchSpace) -> Iterator[torch.nn.Module]:
    built = build_space(space)
    for seed in range(20):
        torch.manual_seed(seed)
        yield task.build(built.sample(Random(seed)), space)


def _batch(task: AnyTask) -> Batch:
    batch: Batch = task.data.train[list(range(BATCH))]
    return batch


def main(presets: list[str]) -> None:
    """Print a table for each preset."""
    for preset in presets or NETWORKS:
        found: dict[str, float] = {}
        print(f"| {preset} | MB | of DARTS |\n| --- | --- | --- |", flush=True)
        for name, peak in peaks(preset):
            found[name] = peak
            share = f"{peak / found[_WHOLE]:.2f}" if _WHOLE in found else ""
            print(f"| {name} | {peak:.0f} | {share} |", flush=True)
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
