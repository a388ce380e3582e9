"""How supernets rank architectures, rule by rule, as the rows of docs/benchmarks.md.

    python -m benchmarks.supernet [--state FOLDER] [SETTING …]

For each setting 50 architectures are drawn and trained alone with two seeds, each for as many epochs as any other.
Then each rule trains a supernet with three seeds, in as many passes over the data as leave training and judging below a
tenth of what training each alone takes, and judges the same architectures. Printed are, as means over seeds (and their
standard deviation):

- tau: Kendall's tau-b of the supernet's metrics and the means of the trainings alone. Its ceiling is what the two
  seeds of training alone have with each other.
- by loss: the same, where the supernet ranks by its validation loss instead.
- bias: by how many places of 100 the half with fewer parameters is ranked too high by the supernet, in the mean.
- cost: CPU time of making and training the supernet, and of calibrating and evaluating all, as a share of training each
  alone once; without reports after epochs on either side.

What is done is kept in the state folder, and a run goes on where the last one stopped.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import mean, stdev
from typing import Any, Final

import numpy as np
import torch

from benchmarks.tones import tones
from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.scores.combine import ranks
from kubenas.scores.correlation import kendall
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.evaluation.epochs import seed_epoch
from kubenas_trial.evaluation.precision import evaluated
from kubenas_trial.evaluation.supernet_training import ComplexityAwareRates, SupernetTraining
from kubenas_trial.evaluation.training import Training
from kubenas_trial.measure.cost import count_parameters
from kubenas_trial.supernets.calibration import calibrate
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.load import rule_class
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.load import load_task

ARCHITECTURES: Final = 50
SEEDS: Final = (0, 1, 2)
ALONE: Final = (0, 1)
# Of a candidate, which its draws depend on.
_NAME: Final = "0"


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Attributes:
        task, space, settings: as in an experiment.
        dataset: the same, made in a folder where it is not there yet.
        epochs: of training alone.
        metric: by which architectures are ranked.
        sign: 1 where greater is better, else -1.
        rules: epochs of the supernet by rule, `+rate` with the complexity-aware learning rate.
    """

    task: str
    dataset: Callable[[Path], Mapping[str, str]]
    space: Mapping[str, Any]
    settings: Mapping[str, Any]
    epochs: int
    metric: str
    sign: int
    rules: Mapping[str, int]


# Of examples/supernet-sandwich.yaml.
_SIZES: Final = {
    "macro": {
        "stages": [
            {"name": "first", "depth": [1, 2], "width": [8, 12, 16], "kernel": [3, 5], "expansion": [1, 2, 3]},
            {"name": "second", "depth": [1, 2, 3], "width": [16, 24, 32], "kernel": [3, 5], "expansion": [1, 2, 3]},
        ]
    }
}
SETTINGS: Final[Mapping[str, Setting]] = {
    "digits": Setting(
        "image-classification",
        lambda _: {"name": "digits"},
        {"preset": "nasbench201"},
        {"network": {"channels": 4, "cellsPerStack": 1}},
        epochs=12,
        metric="accuracy",
        sign=1,
        # One path a step, five, four, one.
        rules={
            "single-path": 28,
            "fairnas": 7,
            "sandwich": 8,
            "few-shot": 28,
            "single-path+rate": 28,
            "fairnas+rate": 7,
        },
    ),
    "tones": Setting(
        "image-classification",
        tones,
        {"preset": "nasbench201"},
        {"batchSize": 32, "network": {"channels": 8, "cellsPerStack": 1}, "imageSize": 12, "augmentation": False},
        epochs=24,
        metric="accuracy",
        sign=1,
        rules={"single-path": 52, "fairnas": 13, "sandwich": 14, "few-shot": 52},
    ),
    "sizes": Setting(
        "image-classification",
        lambda _: {"name": "digits"},
        _SIZES,
        {"batchSize": 64, "network": {"channels": 8}},
        epochs=6,
        metric="accuracy",
        sign=1,
        # One path a step, three, four, two, one.
        rules={
            "single-path": 14,
            "fairnas": 5,
            "sandwich": 4,
            "progressive-shrinking": 7,
            "few-shot": 14,
            "single-path+rate": 14,
        },
    ),
    "alice": Setting(
        "language-model",
        lambda _: {"name": "alice"},
        {"preset": "transformer-decoder"},
        {
            "network": {"width": 0.0625, "dropout": 0},
            "length": 32,
            "batchSize": 64,
            "vocabulary": 500,
            "learningRate": 5e-3,
        },
        epochs=2,
        metric="loss",
        sign=-1,
        # One path a step, four, four, two, four.
        rules={
            "single-path": 8,
            "fairnas": 2,
            "sandwich": 2,
            "progressive-shrinking": 4,
            "few-shot": 8,
        },
    ),
}


class Bench:
    """One setting, with what is known of it in a file."""

    def __init__(self, name: str, setting: Setting, folder: Path) -> None:
        self.name, self.setting = name, setting
        spec = TaskSpec(
            name=setting.task, dataset=Dataset.model_validate(setting.dataset(folder)), settings=dict(setting.settings)
        )
        self.task = load_task(spec, None, torch.device("cpu"))
        self.spec = SearchSpace.model_validate(setting.space)
        self.space = build_space(self.spec)
        self._file = folder / f"{name}.jsonl"
        rows = map(json.loads, self._file.read_text(encoding="utf-8").splitlines()) if self._file.exists() else ()
        self._known: dict[str, Any] = {row["key"]: row["value"] for row in rows}
        self.architectures = self._drawn()

    def run(self) -> None:
        """Do what is not known yet, and print the table after each seed."""
        for count in range(1, len(SEEDS) + 1):
            self._print(SEEDS[:count])

    def _print(self, seeds: Sequence[int]) -> None:
        metric, sign = self.setting.metric, self.setting.sign
        alone = [
            [
                self._once(f"alone/{seed}/{index}", partial(self._alone, each, seed))
                for index, each in enumerate(self.architectures)
            ]
            for seed in seeds
            if seed in ALONE
        ]
        reference = [sign * mean(row[metric] for row in rows) for rows in zip(*alone, strict=True)]
        whole = mean(sum(row["seconds"] for row in rows) for rows in alone)
        sizes = [row["params"] for row in alone[0]]
        values = [[row[metric] for row in rows] for rows in alone]
        print(
            f"{self.name}, {len(seeds)} seeds: {len(reference)} architectures, {self.setting.epochs} epochs "
            f"alone: {metric} {min(map(abs, reference)):.3f} to {max(map(abs, reference)):.3f}, {whole:.0f} s; tau of "
            f"two trainings {_spread([_tau(*pair) for pair in pairwise(values)])}, of the parameters "
            f"{_tau(sizes, reference):.2f}"
        )
        print("| rule | epochs | tau | by loss | bias | cost |\n| --- | --- | --- | --- | --- | --- |")
        for rule, epochs in self.setting.rules.items():
            runs = [self._once(f"{rule}/{epochs}/{seed}", partial(self._judged, rule, epochs, seed)) for seed in seeds]
            found = [[sign * row[metric] for row in one["rows"]] for one in runs]
            taus = [_tau(one, reference) for one in found]
            by_loss = [_tau([-row["loss"] for row in one["rows"]], reference) for one in runs]
            biases = [_bias(one, reference, sizes) for one in found]
            cost = mean(one["seconds"] for one in runs) / whole
            print(
                f"| {rule} | {epochs} | {_spread(taus)} | {_spread(by_loss)} | {mean(biases):+.1f} | {cost:.3f} |",
                flush=True,
            )

    def _drawn(self) -> list[Architecture]:
        """Different ones."""
        rng, found = Random(0), dict[str, Architecture]()
        while len(found) < ARCHITECTURES:
            drawn = self.space.sample(rng)
            found.setdefault(self.space.key(drawn), drawn)
        return list(found.values())

    def _alone(self, architecture: Architecture, seed: int) -> dict[str, float]:
        _seed(seed)
        network = self.task.build(architecture, self.spec)
        start = time.process_time()
        _train(Training(self.task, network, self.setting.epochs), self.setting.epochs, seed)
        seconds = time.process_time() - start
        network.eval()
        found = evaluated(self.task, network, self.task.data.validation)
        return {**found, "params": count_parameters(network), "seconds": seconds}

    def _judged(self, rule: str, epochs: int, seed: int) -> dict[str, Any]:
        name, _, rate = rule.partition("+")
        start = time.process_time()
        networks = Networks.of(self.task, self.spec)
        made = rule_class(name)(self.space, networks)
        _seed(seed)
        supernet = Supernet.of(self.space, networks, self.task.device, made.branches)
        rates = ComplexityAwareRates(self.space, networks) if rate else None
        _train(SupernetTraining(self.task, supernet, made, epochs, rates), epochs, seed)
        rows = []
        for architecture in self.architectures:
            network = supernet.subnetwork(architecture)
            calibrate(self.task, network, seed)
            rows.append(evaluated(self.task, network, self.task.data.validation))
        return {"rows": rows, "seconds": time.process_time() - start}

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = make()
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "value": self._known[key]}) + "\n")
            print(f"{self.name} {key} done", file=sys.stderr, flush=True)
        return self._known[key]


def _seed(seed: int) -> None:
    seed_epoch(seed, _NAME, epoch=0)


def _train(training: Training, epochs: int, seed: int) -> None:
    for epoch in range(1, epochs + 1):
        training.train_epoch(epoch, seed_epoch(seed, _NAME, epoch))
        training.examples = 0


def _tau(first: Sequence[float], second: Sequence[float]) -> float:
    return kendall(first, second) or 0.0


def _bias(found: Sequence[float], reference: Sequence[float], sizes: Sequence[float]) -> float:
    """Places of 100 by which the smaller half is ranked higher than by the reference, in the mean."""
    difference = (ranks(np.array(found)) - ranks(np.array(reference))) * 100 / len(sizes)
    smaller = np.argsort(np.array(sizes), kind="stable")[: len(sizes) // 2]
    return float(difference[smaller].mean())


def _spread(values: Sequence[float]) -> str:
    """Mean, and standard deviation where there is one."""
    deviation = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{deviation}" if values else "unknown"


def main(arguments: Sequence[str]) -> None:
    """Run the settings that are named, or all."""
    names, folder = [*arguments], Path(".bench-supernet")
    if names[:1] == ["--state"]:
        folder, names = Path(names[1]), names[2:]
    if unknown := set(names) - SETTINGS.keys():
        sys.exit(f"{', '.join(unknown)}: there are {', '.join(SETTINGS)}")
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in names or SETTINGS:
        Bench(name, SETTINGS[name], folder).run()


if __name__ == "__main__":
    main(sys.argv[1:])
