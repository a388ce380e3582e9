"""What the trainer's defaults reach on each task, as the rows of docs/benchmarks.md.

    python -m benchmarks.tasks [FIGURE …]
    python -m benchmarks.tasks --search [TASK …]

Figures on real data need the folder KUBENAS_DATA, or ../shared/data beside the checkout; spoken words need espeak-ng.
With --search the default strategy searches each task's example, 20 trials each with three seeds; where its trainings
take long, or leave most networks at chance, with others (BUDGETS). What the chosen architecture reaches on the test
split is compared with the median of 20 architectures that were drawn at random.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import yaml

from kubenas.api.search import Search
from kubenas_trial.tasks.load import TASKS

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = Path(os.environ.get("KUBENAS_DATA") or ROOT.parent / "shared" / "data")
DEFAULT: Final = Search().algorithm
TRIALS: Final = 20
SEEDS: Final = (1, 2, 3)

# Where the example's trainings will not do: epochs, and settings beside the example's.
BUDGETS: Final[Mapping[str, tuple[int, Mapping[str, Any]]]] = {
    "keyword-spotting": (5, {"batchSize": 16}),
    "language-model": (2, {"network": {"width": 0.125}}),
    "object-detection": (2, {"network": {"width": 0.25, "resolution": 0.25}}),
    "semantic-segmentation": (4, {"network": {"width": 0.125}}),
    "text-classification": (4, {"network": {"width": 0.25}}),
    "text-representation": (2, {"network": {"width": 0.25}}),
    "translation": (1, {"network": {"width": 0.0625}, "batchSize": 32, "learningRate": 5e-3, "warmupEpochs": 0.2}),
    "visual-question-answering": (2, {"network": {"width": 0.25}, "imageSize": 32, "batchSize": 128}),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One training by the defaults.

    Attributes:
        name: what it is called at the command line.
        task: the task.
        metric: the one that counts, on the test split.
        aim: what it should reach.
        data: below DATA; None for what the task brings along.
    """

    name: str
    task: str
    metric: str
    aim: float
    data: str | None = None


FIGURES: Final = (
    Figure("digits", "image-classification", "accuracy", 0.98),
    Figure("movie-reviews", "text-classification", "accuracy", 0.74, "movie_review_sentiment.tsv"),
    Figure("cora", "node-classification", "accuracy", 0.80, "planetoid/cora/raw"),
    Figure("bccd", "object-detection", "map_50", 0.5, "bccd"),
    Figure("easy-vqa", "visual-question-answering", "accuracy", 0.95),
    Figure("spoken-words", "keyword-spotting", "accuracy", 0.95),
    Figure("shapes-masks", "semantic-segmentation", "mean_iou", 0.9),
    Figure("shapes-boxes", "object-detection", "map_50", 0.8),
    Figure("reversible", "translation", "bleu", 90),
)


def measure(figure: Figure, folder: Path) -> None:
    """Train once and print the row."""
    dataset = _dataset(figure, folder)
    if dataset is None:
        return
    began = perf_counter()
    result = _trained(folder, figure.task, dataset)
    value, minutes = result["metrics"][f"test_{figure.metric}"], (perf_counter() - began) / 60
    print(
        f"| {figure.name} | {figure.task} | {result['epochs']} | test {figure.metric} {value:.4g} | ≥ {figure.aim} | "
        f"{result['params']:,} | {result['seconds'] / 60:.1f} | {minutes:.1f} |",
        flush=True,
    )


def search(task: str, folder: Path) -> None:
    """Draw at random, then search, and print the row."""
    example = yaml.safe_load((ROOT / "examples" / f"{task}.yaml").read_text(encoding="utf-8"))
    spec = example["spec"]
    objective = spec["objectives"][0]
    metric = f"test_{objective['metric']}"
    epochs, settings = BUDGETS.get(task, (spec["evaluation"]["epochs"], {}))
    spec["evaluation"]["epochs"] = epochs
    # What is measured beside is for the further objectives, which are left out below.
    spec["task"]["settings"] = {**spec["task"].get("settings", {}), **settings, "measure": []}
    sign = 1 if objective["goal"] == "maximize" else -1
    # What a further objective forbids would not be drawn in the same way.
    spec["objectives"] = [objective]

    def ran(algorithm: str, seed: int, candidates: int = 1) -> Path:
        spec["search"] = {"algorithm": algorithm, "seed": seed}
        spec["trials"] = {"max": TRIALS // candidates, "parallelism": 2, "candidatesPerTrial": candidates}
        file, state = folder / f"{task}-{algorithm}-{seed}.yaml", folder / f"{task}-{algorithm}-{seed}"
        file.write_text(yaml.safe_dump(example), encoding="utf-8")
        _run("kubenas.cli", "run", str(file), "--state", str(state))
        return state

    began = perf_counter()
    # They do not wait for each other's results, so that one process can train many.
    drawn = _all(ran("random", 0, TRIALS // 2), metric)
    found = [_best(ran(DEFAULT, seed), metric) for seed in SEEDS]
    above = [sum(sign * value > sign * each for each in drawn) / len(drawn) for value in found]
    print(
        f"| {task} | {metric} | {epochs} | {median(drawn):.4g} ({min(drawn):.4g} to {max(drawn):.4g}) | "
        f"{', '.join(f'{value:.4g}' for value in found)} | {', '.join(f'{share:.0%}' for share in above)} | "
        f"{(perf_counter() - began) / 60:.0f} |",
        flush=True,
    )


def _dataset(figure: Figure, folder: Path) -> list[str] | None:
    """The options for the data, or None where they are not there."""
    if figure.name == "spoken-words":
        if shutil.which("espeak-ng") is None:
            print(f"{figure.name}: needs espeak-ng, which is not installed", flush=True)
            return None
        subprocess.run([sys.executable, "-m", "benchmarks.spoken_words", str(folder / "words")], cwd=ROOT, check=True)
        return ["--dataset", str(folder / "words")]
    if figure.data is None:
        return []
    if not (DATA / figure.data).exists():
        print(f"{figure.name}: needs {figure.data} in {DATA} (set KUBENAS_DATA)", flush=True)
        return None
    return ["--dataset", str(DATA / figure.data)]


def _trained(folder: Path, task: str, dataset: Sequence[str]) -> dict[str, Any]:
    out = folder / "result.json"
    _run("kubenas_trial.cli.main", "run", "--task", task, *dataset, "--out", str(out))
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return result


def _run(module: str, *arguments: str) -> None:
    # Their progress goes to stderr, so that stdout is the table.
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=sys.stderr)


def _all(state: Path, metric: str) -> list[float]:
    """The metric of all trials that have one."""
    trials = [json.loads(path.read_text(encoding="utf-8")) for path in (state / "trials").glob("*.json")]
    return [
        float(each["value"])
        for trial in trials
        for result in trial["status"]["results"]
        for each in result["metrics"]
        if each["name"] == metric
    ]


def _best(state: Path, metric: str) -> float:
    experiment = json.loads((state / "experiment.json").read_text(encoding="utf-8"))
    values = {each["name"]: each["value"] for each in experiment["status"]["best"]["metrics"]}
    return float(values[metric])


def main(arguments: Sequence[str]) -> None:
    """Run what is named, all if nothing is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments[:1] == ["--search"]:
            print("| task | metric | epochs | median of 20 drawn (range) | found by search | better than | minutes |")
            print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
            for task in arguments[1:] or TASKS:
                search(task, folder)
            return
        print("| figure | task | epochs | reached | aim | weights | minutes of training | minutes in all |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for figure in FIGURES:
            if not arguments or figure.name in arguments:
                measure(figure, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
