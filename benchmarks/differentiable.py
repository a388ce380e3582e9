"""What differentiable searches find, beside random architectures that are trained likewise, and how one collapses.

    python -m benchmarks.differentiable [--out FOLDER] [--only TASK …] [--report]

On two tasks, in NAS-Bench-201's space with small networks: handwritten digits, and spectra of courses of a tone as
images. Each method searches with three seeds; what it finds is trained as 50 random architectures are. Of a method's
three the validation split chooses, the test split is reported. In a space of skips and convolutions plain DARTS is
known to collapse: what it finds at its end, and what going back does. What is done is kept in FOLDER, and
not done again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from statistics import mean, median
from time import process_time
from typing import Any, Final

import torch

from benchmarks.tones import tones
from kubenas.api.space import SearchSpace
from kubenas.api.task import Task as TaskSpec
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.differentiable.collapse import Signs, last_good
from kubenas_trial.differentiable.search import Search
from kubenas_trial.document import Evaluation
from kubenas_trial.evaluation.epochs import seed_epoch
from kubenas_trial.evaluation.training import Training
from kubenas_trial.tasks.load import AnyTask, load_task

SPACE: Final = SearchSpace.model_validate({"preset": "nasbench201"})
RANDOM: Final = 50
SEEDS: Final = (1, 2, 3)
SEARCHED: Final = 24


@dataclass(frozen=True, slots=True)
class Method:
    """A way to search.

    Attributes:
        fields: of `evaluation`.
        times: as many epochs as the others have. GDAS has five times as many, as it was published with 250 where DARTS
            was with 50: a step computes one of five operations, so that the cost is alike.
    """

    fields: Mapping[str, Any]
    times: int = 1


METHODS: Final[Mapping[str, Method]] = {
    "DrNAS": Method({"sampler": "drnas"}),
    "PC-DARTS": Method({"sampler": "darts", "partialChannels": 4}),
    "GDAS": Method({"sampler": "gdas"}, 5),
    "SNAS": Method({"sampler": "snas"}),
    "DARTS": Method({"sampler": "darts"}),
    "DrNAS, partial channels, pruning": Method({"sampler": "drnas", "partialChannels": 4, "pruning": True}),
}
# After those with all seeds.
ADDITIONS: Final[Mapping[str, Method]] = {
    "DARTS, beta-decay": Method({"sampler": "darts", "betaDecay": 1.0}),
    "DARTS, perturbation": Method({"sampler": "darts", "perturbation": "random"}),
    "DARTS, second order": Method({"sampler": "darts", "order": "second"}),
}


# Skips and convolutions on the edges of NAS-Bench-201: such are the reduced spaces of Zela et al. (ICLR 2020), in which
# DARTS collapses.
REDUCED: Final = SearchSpace.model_validate(
    {"cell": {"nodes": 4, "operations": ["skip_connect", "conv_3x3"], "skip": "skip_connect"}}
)
REDUCED_RANDOM: Final = 20
REDUCED_SEARCHED: Final = 40


@dataclass(frozen=True, slots=True)
class Setting:
    """A task, and how long an architecture is trained there."""

    epochs: int
    settings: Mapping[str, Any]
    dataset: Callable[[Path], dict[str, str]]


TASKS: Final[Mapping[str, Setting]] = {
    "digits": Setting(
        8, {"batchSize": 64, "network": {"channels": 8, "cellsPerStack": 1}}, lambda _: {"name": "digits"}
    ),
    # A mirrored course is another one.
    "tones": Setting(
        12,
        {"batchSize": 32, "network": {"channels": 8, "cellsPerStack": 1}, "imageSize": 12, "augmentation": False},
        tones,
    ),
}
# Two cells a stack: skips alone fail the sooner in deeper networks.
REDUCED_ON: Final = replace(
    TASKS["tones"], settings={**TASKS["tones"].settings, "network": {"channels": 8, "cellsPerStack": 2}}
)


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


def search(
    task: AnyTask, space: SearchSpace, fields: Mapping[str, Any], epochs: int, seed: int
) -> dict[str, list[Any] | float]:
    """What each epoch of a search would derive, and what it tells; a collapse does not end it."""
    evaluation = Evaluation.model_validate({"method": "differentiable", **fields})
    seed_epoch(seed, "0", 0)
    began = process_time()
    found = Search(task, space, evaluation, epochs, seed)
    architectures, entropies = [], []
    for epoch in range(1, epochs + 1):
        found.train_epoch(epoch, seed_epoch(seed, "0", epoch))
        found.examples = 0
        found.keep(found.signs(epoch))
        architectures.append(found.mixture.derive().to_json())
        entropies.append(found.entropy())
    return {
        "architectures": architectures,
        "signs": [asdict(each) for each in found.past],
        "entropies": entropies,
        "mixed": not found.mixture.sampler.hard,
        "seconds": process_time() - began,
    }


def trained(task: AnyTask, space: SearchSpace, architecture: Architecture, epochs: int, seed: int) -> dict[str, float]:
    """Accuracies of an architecture that is trained as any candidate is."""
    seed_epoch(seed, "0", 0)
    training = Training(task, task.build(architecture, space), epochs)
    for epoch in range(1, epochs + 1):
        training.train_epoch(epoch, seed_epoch(seed, "0", epoch))
        training.examples = 0
    return {split: training.evaluate(getattr(task.data, split))["accuracy"] for split in ("validation", "test")}


def load(setting: Setting, folder: Path) -> AnyTask:
    """The task of `setting`."""
    document = {"name": "image-classification", "dataset": setting.dataset(folder), "settings": dict(setting.settings)}
    return load_task(TaskSpec.model_validate(document), None, torch.device("cpu"))


def measure(name: str, methods: Mapping[str, Method], seed: int, folder: Path) -> None:
    """Search with a seed and train what is found, where that is not in the record yet."""
    setting, record = TASKS[name], Record.of(folder / f"{name}.jsonl")
    task = load(setting, folder)
    space = build_space(SPACE)
    for method, how in methods.items():
        key = f"{method} seed {seed}"
        found = record.get(key, partial(search, task, SPACE, how.fields, how.times * SEARCHED, seed))
        epoch, _ = ended(found)
        architecture = space.parse(found["architectures"][epoch - 1])
        record.get(f"{key} epoch {epoch}", partial(trained, task, SPACE, architecture, setting.epochs, seed))


def ended(found: Mapping[str, Any]) -> tuple[int, int]:
    """The epoch whose architecture a search has found, and that by which it ended."""
    signs = [Signs(**each) for each in found["signs"]]
    for epoch in range(1, len(signs) + 1):
        if (back := last_good(signs[:epoch], len(signs), mixed=found["mixed"])) is not None:
            return back, epoch
    return len(signs), len(signs)


def train_random(setting: Setting, of: SearchSpace, count: int, record: Record, folder: Path) -> None:
    """Train random architectures, where that is not in the record yet."""
    task, space, rng = load(setting, folder), build_space(of), Random(0)
    for number in range(count):
        architecture = space.sample(rng)
        record.get(f"random {number} trained", partial(trained, task, of, architecture, setting.epochs, number))


def collapse(seed: int, folder: Path) -> None:
    """Search where plain DARTS collapses, and train what it finds at its end and what going back does."""
    task, record, space = load(REDUCED_ON, folder), Record.of(folder / "collapse.jsonl"), build_space(REDUCED)
    key = f"seed {seed}"
    found = record.get(key, partial(search, task, REDUCED, METHODS["DARTS"].fields, REDUCED_SEARCHED, seed))
    for epoch in {ended(found)[0], REDUCED_SEARCHED}:
        architecture = space.parse(found["architectures"][epoch - 1])
        record.get(f"{key} epoch {epoch}", partial(trained, task, REDUCED, architecture, REDUCED_ON.epochs, seed))


def report(name: str, folder: Path) -> None:
    """Print the table of what is in the record of a task."""
    done = Record.of(folder / f"{name}.jsonl").done
    if not (tests := random_tests(done, name)):
        return
    print("| method | test of each seed | mean | chosen by validation | better than of the random | went back | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for method in (*METHODS, *ADDITIONS):
        keys = [key for seed in SEEDS if (key := f"{method} seed {seed}") in done]
        ends = [ended(done[key]) for key in keys]
        found = [f"{key} epoch {epoch}" for key, (epoch, _) in zip(keys, ends, strict=True)]
        if not keys or not all(each in done for each in found):
            continue
        results = [done[each] for each in found]
        own = [result["test"] for result in results]
        chosen = max(results, key=lambda result: result["validation"])["test"]
        above = mean(sum(value > each for each in tests) / len(tests) for value in own)
        back = sum(epoch < last for epoch, last in ends)
        values, seconds = ", ".join(f"{value:.4f}" for value in own), mean(done[key]["seconds"] for key in keys)
        cells = [method, values, f"{mean(own):.4f}", f"{chosen:.4f}", f"{above:.0%}", f"{back} of {len(own)}"]
        print(f"| {' | '.join(cells)} | {seconds:.0f} |")


def report_collapse(folder: Path) -> None:
    """Print how plain DARTS collapses in the reduced space."""
    done, space = Record.of(folder / "collapse.jsonl").done, build_space(REDUCED)
    if not random_tests(done, "tones, skips and convolutions"):
        return
    print("| seed | skips, each tenth | eigenvalue, each tenth | at its end | went back to (at) | found there |")
    print("| --- | --- | --- | --- | --- | --- |")
    for seed in SEEDS:
        key = f"seed {seed}"
        if (found := done.get(key)) is None:
            continue
        back, at = ended(found)
        tenths = found["signs"][REDUCED_SEARCHED // 10 - 1 :: REDUCED_SEARCHED // 10]
        row = [
            str(seed),
            " ".join(f"{each['skip_share']:.2f}" for each in tenths),
            " ".join(f"{each['eigenvalue']:.2f}" for each in tenths),
        ]
        for epoch in (REDUCED_SEARCHED, back):
            cell = space.name(space.parse(found["architectures"][epoch - 1]))
            row.append(f"`{cell}`, test {done[f'{key} epoch {epoch}']['test']:.4f}")
        row.insert(-1, f"{back} ({at})")
        print(f"| {' | '.join(row)} |")


def random_tests(done: Mapping[str, Any], name: str) -> list[float]:
    """What random architectures reach on the test split, which is printed too."""
    tests = [value["test"] for key, value in done.items() if key.startswith("random ")]
    if tests:
        print(f"\n{name}: {len(tests)} random: median {median(tests):.4f}, {min(tests):.4f} to {max(tests):.4f}\n")
    return tests


def main() -> None:
    """Measure what is named, all if nothing is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("dist/differentiable"))
    parser.add_argument("--only", nargs="*", choices=[*TASKS, "collapse"], default=[])
    parser.add_argument("--report", action="store_true", help="print the tables of what is done, and do no more")
    arguments = parser.parse_args()
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    chosen = arguments.only or [*TASKS, "collapse"]
    names = [name for name in TASKS if name in chosen]
    if not arguments.report:
        for name in names:
            train_random(TASKS[name], SPACE, RANDOM, Record.of(folder / f"{name}.jsonl"), folder)
        for methods, seed, name in product((METHODS, ADDITIONS), SEEDS, names):
            measure(name, methods, seed, folder)
        if "collapse" in chosen:
            for seed in SEEDS:
                collapse(seed, folder)
            train_random(REDUCED_ON, REDUCED, REDUCED_RANDOM, Record.of(folder / "collapse.jsonl"), folder)
    for name in names:
        report(name, folder)
    if "collapse" in chosen:
        report_collapse(folder)


if __name__ == "__main__":
    main()
