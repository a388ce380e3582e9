"""What differentiable searches find, beside random architectures that are trained likewise, and how one collapses.

    python -m benchmarks.differentiable [--out FOLDER] [--only TASK …] [--report]

On two tasks, in NAS-Bench-201's space with small networks: handwritten digits, and spectra of courses of a tone as
images. Each method searches with three seeds; what it finds is trained as 50 random architectures are. Of a method's
three the validation split chooses, the test split is reported. Plain DARTS also searches three times as long: what it
finds at its end, and what going back on collapse finds. What is done is kept in FOLDER, and not done again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from statistics import mean, median
from time import perf_counter
from typing import Any, Final

import torch
from PIL import Image

from kubenas.api.space import SearchSpace
from kubenas.api.task import Task as TaskSpec
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.datasets.data import Examples
from kubenas_trial.differentiable.collapse import last_good
from kubenas_trial.differentiable.search import Search
from kubenas_trial.document import Evaluation
from kubenas_trial.evaluation.epochs import seed_epoch
from kubenas_trial.evaluation.training import Training
from kubenas_trial.tasks.load import AnyTask, load_task

SPACE: Final = SearchSpace.model_validate({"preset": "nasbench201"})
RANDOM: Final = 50
SEEDS: Final = (1, 2, 3)
SEARCHED: Final = 24
LONGER: Final = 3

# The fields of `evaluation` of each.
METHODS: Final[Mapping[str, Mapping[str, Any]]] = {
    "DrNAS": {"sampler": "drnas"},
    "PC-DARTS": {"sampler": "darts", "partialChannels": 4},
    "GDAS": {"sampler": "gdas"},
    "SNAS": {"sampler": "snas"},
    "DARTS": {"sampler": "darts"},
    "DrNAS, partial channels, pruning": {"sampler": "drnas", "partialChannels": 4, "pruning": True},
}
# Where plain DARTS searches for long too.
LONG_ON: Final = "digits"


@dataclass(frozen=True, slots=True)
class Setting:
    """A task, and how long an architecture is trained there."""

    epochs: int
    settings: Mapping[str, Any]
    dataset: Callable[[Path], dict[str, str]]


def _tones(folder: Path) -> dict[str, str]:
    """The spectra of keyword spotting's tones as images, in folders of splits and classes."""
    images = folder / "tones"
    if not images.exists():
        spec = TaskSpec.model_validate({"name": "keyword-spotting", "dataset": {"name": "tones"}})
        data = load_task(spec, None, torch.device("cpu")).data
        for split in ("train", "val", "test"):
            examples: Examples = data.validation if split == "val" else getattr(data, split)
            batch = examples[list(range(len(examples)))]
            # Normalized: three deviations to each side are black and white.
            pixels = ((batch.inputs[0] + 3) / 6 * 255).clamp(0, 255).byte()
            for number, (pixel, label) in enumerate(zip(pixels, batch.targets[0].tolist(), strict=True)):
                path = images / split / data.classes[label] / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixel.numpy()).save(path)
    return {"path": str(images)}


TASKS: Final[Mapping[str, Setting]] = {
    "digits": Setting(
        8, {"batchSize": 64, "network": {"channels": 8, "cellsPerStack": 1}}, lambda _: {"name": "digits"}
    ),
    # A mirrored course is another one.
    "tones": Setting(
        12,
        {"batchSize": 32, "network": {"channels": 8, "cellsPerStack": 1}, "imageSize": 12, "augmentation": False},
        _tones,
    ),
}


@dataclass(slots=True)
class Record:
    """What was computed, by a key, in a file of one line each."""

    path: Path
    done: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> Record:
        """What is in the file."""
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return cls(path, {each["key"]: each["value"] for each in map(json.loads, lines)})

    def get(self, key: str, compute: Callable[[], Any]) -> Any:
        """The value of `key`, computed where it is not known."""
        if key not in self.done:
            self.done[key] = compute()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "value": self.done[key]}) + "\n")
            print(f"{key}: {json.dumps(self.done[key])[:160]}", flush=True)
        return self.done[key]


def search(task: AnyTask, fields: Mapping[str, Any], epochs: int, seed: int, *, on: bool = False) -> dict[str, Any]:
    """What is found, and what each epoch told; with `on` a collapsed search goes on, and tells what it had found."""
    evaluation = Evaluation.model_validate({"method": "differentiable", **fields})
    seed_epoch(seed, "0", 0)
    found, restored, began = Search(task, SPACE, evaluation, epochs, seed), None, perf_counter()
    mixture = found.mixture
    before: dict[str, Any] | None = None
    for epoch in range(1, epochs + 1):
        found.train_epoch(epoch, seed_epoch(seed, "0", epoch))
        found.examples = 0
        found.keep(found.signs(epoch))
        restored = restored or last_good(found.past, epochs)
        if restored is not None and before is None:
            with found.restored(restored):
                before = {"architecture": mixture.derive().to_json(), "epoch": epoch}
            if not on:
                found.restore(restored)
                break
    architecture = mixture.derive()
    return {
        "architecture": architecture.to_json(),
        "name": mixture.space.name(architecture),
        "restored": restored,
        "before": before,
        "skips": [round(each.skip_share, 3) for each in found.past],
        "eigenvalues": [round(each.eigenvalue, 4) for each in found.past],
        "entropy": found.entropy(),
        "derived": found.judge(architecture)["accuracy"],
        "mixed": found.judge(None)["accuracy"],
        "seconds": perf_counter() - began,
    }


def trained(task: AnyTask, architecture: Architecture, epochs: int, seed: int) -> dict[str, float]:
    """Accuracies of an architecture that is trained as any candidate is."""
    seed_epoch(seed, "0", 0)
    training = Training(task, task.build(architecture, SPACE), epochs)
    for epoch in range(1, epochs + 1):
        training.train_epoch(epoch, seed_epoch(seed, "0", epoch))
        training.examples = 0
    return {split: training.evaluate(getattr(task.data, split))["accuracy"] for split in ("validation", "test")}


def measure(name: str, seed: int, folder: Path) -> None:
    """Search with a seed and train, and train random ones, where that is not in the record yet."""
    setting, record = TASKS[name], Record.of(folder / f"{name}.jsonl")
    document = {"name": "image-classification", "dataset": setting.dataset(folder), "settings": dict(setting.settings)}
    task = load_task(TaskSpec.model_validate(document), None, torch.device("cpu"))
    space, rng = build_space(SPACE), Random(0)

    def real(key: str, architecture: Architecture, seed: int) -> None:
        record.get(f"{key} trained", partial(trained, task, architecture, setting.epochs, seed))

    for number in range(RANDOM):
        real(f"random {number}", space.sample(rng), number)
    if name == LONG_ON:
        key = f"long seed {seed}"
        found = record.get(key, partial(search, task, METHODS["DARTS"], LONGER * SEARCHED, seed, on=True))
        real(key, space.parse(found["architecture"]), seed)
        if found["before"]:
            real(f"{key} before", space.parse(found["before"]["architecture"]), seed)
    for method, fields in METHODS.items():
        key = f"{method} seed {seed}"
        found = record.get(key, partial(search, task, fields, SEARCHED, seed))
        real(key, space.parse(found["architecture"]), seed)


def report(name: str, folder: Path) -> None:
    """Print the tables of what is in the record."""
    done = Record.of(folder / f"{name}.jsonl").done
    tests = [value["test"] for key, value in done.items() if key.startswith("random ")]
    if not tests:
        return
    print(f"\n{name}: {len(tests)} random: median {median(tests):.4f}, {min(tests):.4f} to {max(tests):.4f}\n")
    print("| method | test of each seed | mean | chosen by validation | better than of the random | went back | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for method in METHODS:
        keys = [key for seed in SEEDS if f"{(key := f'{method} seed {seed}')} trained" in done]
        if not keys:
            continue
        found, results = [done[key] for key in keys], [done[f"{key} trained"] for key in keys]
        own = [result["test"] for result in results]
        chosen = max(results, key=lambda result: result["validation"])["test"]
        above = mean(sum(value > each for each in tests) / len(tests) for value in own)
        back = sum(each["restored"] is not None for each in found)
        values, seconds = ", ".join(f"{value:.4f}" for value in own), mean(each["seconds"] for each in found)
        cells = [method, values, f"{mean(own):.4f}", f"{chosen:.4f}", f"{above:.0%}", f"{back} of {len(own)}"]
        print(f"| {' | '.join(cells)} | {seconds:.0f} |")
    print("\n| DARTS for long, seed | share of skips, ten times | at its end | went back to (at) | then found |")
    print("| --- | --- | --- | --- | --- |")
    epochs = LONGER * SEARCHED
    for seed in SEEDS:
        key = f"long seed {seed}"
        if f"{key} trained" not in done:
            continue
        long = done[key]
        shares = " ".join(f"{each:.2f}" for each in long["skips"][epochs // 10 - 1 :: epochs // 10])
        cell = long["name"].replace("|", "\\|")
        row = f"| {seed} | {shares} | `{cell}`, test {done[f'{key} trained']['test']:.4f} |"
        if before := long["before"]:
            row += f" {long['restored']} ({before['epoch']}) | test {done[f'{key} before trained']['test']:.4f} |"
        print(row)


def main() -> None:
    """Measure what is named, all if nothing is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("dist/differentiable"))
    parser.add_argument("--only", nargs="*", choices=sorted(TASKS), default=[])
    parser.add_argument("--report", action="store_true", help="print the tables of what is done, and do no more")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = arguments.only or list(TASKS)
    if not arguments.report:
        for seed, name in product(SEEDS, names):
            measure(name, seed, arguments.out)
    for name in names:
        report(name, arguments.out)


if __name__ == "__main__":
    main()
