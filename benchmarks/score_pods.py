"""How many architectures a minute pods score in batches, beside a pod each: on a real two-node cluster made for it.

    python -m benchmarks.score_pods [--batch N] [--alone N] [--proxies NAME …]

Needs root, Go and Debian's packages, as `make test-node`. One pod at a time, small networks on handwritten digits; from
the creation of the experiment's first trial to the end of its last one, with all that comes between.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime

from tests.cluster import system
from tests.cluster.cluster import Cluster
from tests.cluster.installed import get, install, search_namespace

NAMESPACE = "scores"
WHERE = f"--namespace={NAMESPACE}"


def scored_per_minute(cluster: Cluster, name: str, proxy: str, trials: int, candidates: int) -> float:
    """Architectures a minute of an experiment that scores `trials` times `candidates`, one pod at a time."""
    document = {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASExperiment",
        "metadata": {"name": name},
        "spec": {
            "objectives": [{"metric": "score"}],
            "task": {
                "name": "image-classification",
                "dataset": {"name": "digits"},
                "settings": {"batchSize": 16, "network": {"channels": 4, "cellsPerStack": 1}},
            },
            "searchSpace": {"preset": "nasbench201"},
            "search": {"algorithm": "random", "seed": 1},
            "evaluation": {"method": "zero-cost", "proxies": [proxy]},
            "trials": {"max": trials, "candidatesPerTrial": candidates, "parallelism": 1},
        },
    }
    cluster.kubectl("apply", WHERE, "--filename=-", stdin=json.dumps(document))
    cluster.kubectl("wait", WHERE, "--for=condition=Succeeded", f"nas/{name}", "--timeout=900s")
    done = get(cluster, "nastrials", WHERE, f"--selector=kubenas.io/experiment={name}")["items"]
    begun = min(_time(one["metadata"]["creationTimestamp"]) for one in done)
    ended = _time(get(cluster, f"nas/{name}", WHERE)["status"]["completionTime"])
    results = sum(len(one["status"]["results"]) for one in done)
    assert results == trials * candidates, f"{results} results"  # noqa: S101 - else the figure means nothing
    return results / ((ended - begun).total_seconds() / 60)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def main() -> None:
    """Print the rows of docs/benchmarks.md."""
    parser = ArgumentParser(description="Architectures a minute, in batches and in a pod each.")
    parser.add_argument("--batch", type=int, default=1000, help="candidates of the one pod")
    parser.add_argument("--alone", type=int, default=5, help="pods with a candidate each")
    parser.add_argument("--proxies", nargs="+", default=["synflow", "default"], help="a row for each")
    asked = parser.parse_args()
    system.install()
    with Cluster() as cluster:
        install(cluster)
        search_namespace(cluster, NAMESPACE)
        print("| proxies | a pod each, a minute | one pod, a minute | times |\n| --- | --- | --- | --- |")
        for proxy in asked.proxies:
            alone = scored_per_minute(cluster, f"{proxy}-alone", proxy, asked.alone, 1)
            batch = scored_per_minute(cluster, f"{proxy}-batch", proxy, 1, asked.batch)
            print(f"| {proxy} | {alone:.1f} | {batch:.0f} | {batch / alone:.0f} |", flush=True)


if __name__ == "__main__":
    main()
