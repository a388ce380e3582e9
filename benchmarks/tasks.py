"""What the trainer's defaults reach on each task, as the rows of docs/benchmarks.md.

    python -m benchmarks.tasks [FIGURE …]
    python -m benchmarks.tasks --search [TASK …]

Figures on real data need the folder KUBENAS_DATA, or ../shared/data beside the checkout; spoken words need espeak-ng.
With --search a search of 20 trials on each task's example is compared, on the test split, with the space's median
architecture (the middle of each decision), both trained equally long, over three seeds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any, Final

import yaml

from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial.architecture import default_architecture
from kubenas_trial.tasks.load import TASKS

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = Path(os.environ.get("KUBENAS_DATA") or ROOT.parent / "shared" / "data")
TRIALS: Final = 20
SEEDS: Final = (1, 2, 3)


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
    result = _trained(folder, figure.task, None, 0, dataset)
    value, minutes = result["metrics"][f"test_{figure.metric}"], (perf_counter() - began) / 60
    print(
        f"| {figure.name} | {figure.task} | {result['epochs']} | test {figure.metric} {value:.4g} | ≥ {figure.aim} | "
        f"{result['params']:,} | {result['seconds'] / 60:.1f} | {minutes:.1f} |",
        flush=True,
    )


def search(task: str, folder: Path) -> None:
    """Search, train the median architecture as long, and print the row."""
    example = yaml.safe_load((ROOT / "examples" / f"{task}.yaml").read_text(encoding="utf-8"))
    spec = example["spec"]
    metric, epochs = spec["objectives"][0]["metric"], spec["evaluation"]["epochs"]
    spec["objectives"] = spec["objectives"][:1]
    spec["trials"] = {"max": TRIALS, "parallelism": 2}
    median = _median(spec["searchSpace"])
    found, middle = [], []
    for seed in SEEDS:
        spec["search"] = {"seed": seed}
        file, state = folder / f"{task}-{seed}.yaml", folder / f"{task}-{seed}"
        file.write_text(yaml.safe_dump(example), encoding="utf-8")
        _run("kubenas.cli", "run", str(file), "--state", str(state))
        found.append(_best(state, f"test_{metric}"))
        settings = [f"{name}={json.dumps(value)}" for name, value in spec["task"].get("settings", {}).items()]
        middle.append(_trained(folder, task, epochs, seed, [], median, settings)["metrics"][f"test_{metric}"])
    told = [f"{fmean(values):.4g} ({', '.join(f'{value:.4g}' for value in values)})" for values in (found, middle)]
    print(f"| {task} | test {metric} | {epochs} | {told[0]} | {told[1]} |", flush=True)


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


def _trained(
    folder: Path,
    task: str,
    epochs: int | None,
    seed: int,
    dataset: Sequence[str],
    architecture: str = "default",
    settings: Sequence[str] = (),
) -> dict[str, Any]:
    options = ["--task", task, "--seed", str(seed), "--architecture", architecture]
    if epochs is not None:
        options += ["--epochs", str(epochs)]
    for setting in settings:
        options += ["--set", setting]
    out = folder / "result.json"
    _run("kubenas_trial.cli.main", "run", *options, *dataset, "--out", str(out))
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return result


def _run(module: str, *arguments: str) -> None:
    # Their progress goes to stderr, so that stdout is the table.
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=sys.stderr)


def _median(document: dict[str, Any]) -> str:
    space = build_space(SearchSpace.model_validate(document))
    return json.dumps(default_architecture(space, {}).to_json())


def _best(state: Path, metric: str) -> float:
    experiment = json.loads((state / "experiment.json").read_text(encoding="utf-8"))
    values = {each["name"]: each["value"] for each in experiment["status"]["best"]["metrics"]}
    return float(values[metric])


def main(arguments: Sequence[str]) -> None:
    """Run what is named, all if nothing is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments[:1] == ["--search"]:
            print("| task | metric | epochs | search of 20 trials | median architecture |")
            print("| --- | --- | --- | --- | --- |", flush=True)
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
