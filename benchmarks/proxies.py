"""Proxies on NAS-Bench-201, beside published figures.

    python -m benchmarks.proxies [--out FOLDER] [--architectures N] [--batch N] [GROUP …]

CIFAR-10's network (3 x 32 x 32 pixels, 10 classes, 16 channels, 5 cells a stack), inputs of noise, seed 0.
Kendall's tau of each proxy and of the default combination with the accuracy after 200 epochs; Spearman's rank
correlation with NAS-Bench-Suite-Zero's columns, which are of CIFAR-10's images. A group of proxies (default, compared,
others) is written to GROUP.csv in the folder, row by row, and an interrupted run goes on. Needs nasbench201.csv and
nasbench201_zc_cifar10.csv in the folder KUBENAS_DATA, or in ../shared/data beside the checkout.
"""

from __future__ import annotations

import csv
import math
import os
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final

from kubenas.api.metric_names import DEFAULT_PROXIES, of_proxies
from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset, Task
from kubenas.scores.combine import combined
from kubenas.scores.correlation import kendall, spearman
from kubenas.space.load import build_space
from kubenas_trial.errors import NonFiniteMetricError

if TYPE_CHECKING:
    from kubenas_trial.proxies.probe import Probe
    from kubenas_trial.tasks.load import AnyTask

DATA: Final = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
FOLDER: Final = Path(os.environ.get("KUBENAS_CACHE") or Path.home() / ".cache" / "kubenas") / "proxies"
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "default": (*DEFAULT_PROXIES, "params", "flops"),
    "compared": ("l2_norm", "synflow", "snip", "grad_norm", "nwot", "zen"),
    "others": ("trainable-layers", "plain", "grasp", "fisher", "jacob_cov", "epe_nas", "zico", "meco", "swap"),
}
# Kendall's tau on CIFAR-10 and CIFAR-100, as Tybl and Neumann (CVPR 2025) have rerun them.
PUBLISHED: Final = {
    "flops": (0.623, 0.586),
    "synflow": (0.561, 0.553),
    "jacob_cov": (0.616, 0.639),
    "nwot": (0.571, 0.607),
    "zico": (0.607, 0.614),
    "az-nas": (0.712, 0.696),
    "default": (0.750, 0.753),
}
ACCURACIES: Final = ("cifar10_test_200ep", "cifar100_test_200ep")
# Their names for ours.
COLUMNS: Final = {"jacob_cov": "jacov"}


def sample(count: int | None) -> list[dict[str, str]]:
    """The rows of `count` architectures, or all: always the same ones, and fewer are the first of more."""
    with (DATA / "nasbench201.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Random(0).sample(rows, len(rows))[:count]


def score_all(proxies: Sequence[str], architectures: Sequence[str], batch: int, path: Path) -> None:
    """Append the scores of those `architectures` that `path` does not have yet: `arch` and a column a metric."""
    from kubenas_trial.evaluation.zero_cost import built, scores_of  # noqa: PLC0415
    from kubenas_trial.proxies.load import load_proxies  # noqa: PLC0415

    (task, space, probe), loaded = _networks(batch), load_proxies(proxies)
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["arch", *of_proxies(proxies)], restval="nan")
        if not file.tell():
            writer.writeheader()
            file.flush()
        known = read(path)
        if known and [*known[0]] != writer.fieldnames:
            raise SystemExit(f"{path} has other columns than {', '.join(writer.fieldnames)}: remove it")
        there = {row["arch"] for row in known}
        left = [each for each in architectures if each not in there]
        start = perf_counter()
        for done, text in enumerate(left, start=1):
            network = built(task, space, build_space(space).parse(text), seed=0)
            writer.writerow({"arch": text, **scores_of(network, loaded, probe, seed=0)})
            file.flush()
            if done % 50 == 0:
                print(f"{done} of {len(left)}: {(perf_counter() - start) / done:.2f} s each", flush=True)


def times(proxies: Sequence[str], architectures: Sequence[str], batch: int) -> None:
    """Print the CPU time that each proxy takes, on one thread."""
    from kubenas_trial.proxies.base import score  # noqa: PLC0415
    from kubenas_trial.proxies.load import load_proxies  # noqa: PLC0415

    task, space, probe = _networks(batch)
    networks = [task.build(build_space(space).parse(text), space) for text in architectures]
    print("| proxy | CPU seconds an architecture |\n| --- | --- |")
    for proxy in load_proxies(proxies):
        start = process_time()
        for network in networks:
            with suppress(NonFiniteMetricError):
                score(proxy, network, probe, 0)
        print(f"| {proxy.name} | {(process_time() - start) / len(networks):.2f} |", flush=True)


def _networks(batch: int) -> tuple[AnyTask, SearchSpace, Probe]:
    """CIFAR-10's networks, and what they are looked at with."""
    # Torch takes seconds to import, and tables are also wanted without.
    import torch  # noqa: PLC0415

    from kubenas_trial.proxies.probe import Probe  # noqa: PLC0415
    from kubenas_trial.tasks.load import load_task  # noqa: PLC0415

    torch.set_num_threads(1)
    settings = {"batchSize": batch, "network": {"channels": 16, "cellsPerStack": 5}}
    spec = Task(name="image-classification", dataset=Dataset(name="noise"), settings=settings)
    task = load_task(spec, None, torch.device("cpu"))
    return task, SearchSpace(preset="nasbench201"), Probe.of(task, "noise", 0)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file of scores."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def report(groups: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    """Print the table of the groups' scores."""
    rows = {row["arch"]: row for row in sample(None)}
    with (DATA / "nasbench201_zc_cifar10.csv").open(encoding="utf-8") as file:
        suite = {row["ops"]: row for row in csv.DictReader(file)}
    print("| proxy | architectures | tau CIFAR-10, CIFAR-100 | published | Spearman with the published column |")
    print("| --- | --- | --- | --- | --- |")
    for group, scored in groups.items():
        own = [rows[row["arch"]] for row in scored]
        for proxy in (*GROUPS[group], *(["default"] if group == "default" else [])):
            metrics = of_proxies([proxy])
            scores = combined({name: [float(row[name]) for row in scored] for name in metrics}, "log-rank-sum")
            taus = [kendall(scores, [float(row[accuracy]) for row in own]) for accuracy in ACCURACIES]
            column = COLUMNS.get(proxy, proxy)
            theirs = [float(suite.get(row["ops"], {}).get(column) or math.nan) for row in own]
            print(
                f"| {proxy} | {len(own)} | {', '.join(map(_shown, taus))} | "
                f"{', '.join(map(_shown, PUBLISHED.get(proxy, ())))} | {_shown(spearman(scores, theirs))} |"
            )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def main() -> None:
    """Score, then print."""
    parser = ArgumentParser(description="Proxies on NAS-Bench-201.")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the scores")
    parser.add_argument("--architectures", type=int, default=1000, help="the first of the sample")
    parser.add_argument("--batch", type=int, default=64, help="examples that networks are looked at with")
    parser.add_argument("--times", action="store_true", help="only measure how long each proxy takes")
    parser.add_argument("groups", nargs="*", default=[*GROUPS], help=", ".join(GROUPS))
    asked = parser.parse_args()
    architectures = [row["arch"] for row in sample(asked.architectures)]
    if asked.times:
        times([proxy for group in asked.groups for proxy in GROUPS[group]], architectures, asked.batch)
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    scored: dict[str, list[dict[str, str]]] = {}
    for group in asked.groups:
        score_all(GROUPS[group], architectures, asked.batch, asked.out / f"{group}.csv")
        scored[group] = [row for row in read(asked.out / f"{group}.csv") if row["arch"] in {*architectures}]
    report(scored)


if __name__ == "__main__":
    main()
