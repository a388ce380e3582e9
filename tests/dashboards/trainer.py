"""A trainer for tests: scikit-learn's perceptron on its digits by KubeNAS' SDK, slow enough to be scraped.

As a process: ``python -m tests.dashboards.trainer SECONDS``, which an epoch takes at least. It scores without training,
and in place of a supernet's weights judges by those of one epoch. Signs of collapse are made up: there is no
differentiable search in it.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from kubenas_trial.contract import Candidate, Trial

# What a small GPU could not hold: these trials end without a result.
MOST_UNITS = 224


def main(seconds: float) -> None:
    with Trial.from_environment() as trial:
        method = trial.document.evaluation.method
        for candidate in trial.candidates:
            # Shown from then on; nothing is written here.
            trial.checkpoints(candidate)
            if candidate.given is None:
                # What the supernet is trained in.
                trial.report(candidate, step=1, loss=0.0)
                continue
            epochs = candidate.epochs if method == "train" else 1
            for epoch, metrics in enumerate(trained(trial, candidate, epochs, large=method != "train"), start=1):
                begin = time.monotonic()
                trial.report(candidate, step=epoch, **metrics)
                time.sleep(max(0.0, begin + (seconds if method == "train" else 0.0) - time.monotonic()))


def trained(trial: Trial, candidate: Candidate, epochs: int, *, large: bool) -> Iterator[dict[str, float]]:
    """The metrics after each epoch.

    Args:
        trial: gives the seed.
        candidate: what is trained.
        epochs: how long.
        large: whether what a small GPU could not hold is trained too.
    """
    images, labels = load_digits(return_X_y=True)
    train_x, valid_x, train_y, valid_y = train_test_split(images / 16, labels, stratify=labels, random_state=0)
    units, layers = (int(candidate.architecture[name]) for name in ("units", "layers"))
    if units * layers > MOST_UNITS and not large:
        raise MemoryError(f"{layers} layers of {units} units")
    model = MLPClassifier(
        hidden_layer_sizes=[units] * layers,
        learning_rate_init=candidate.architecture["learningRate"],
        random_state=trial.seed,
    )
    for epoch in range(1, epochs + 1):
        model.partial_fit(train_x, train_y, classes=range(10))
        weights = (*model.coefs_, *model.intercepts_)
        params = sum(each.size for each in weights)
        yield {
            "accuracy": model.score(valid_x, valid_y),
            "params": params,
            "loss": model.loss_,
            "flops": 2.0 * params,
            "l2_norm": float(sum(np.square(each).sum() for each in weights)),
            "plain": float(sum(each.sum() for each in weights)),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
            "skip_share": epoch / (epochs + 1),
            "alpha_entropy": 1.6 / epoch,
        }


if __name__ == "__main__":
    main(float(sys.argv[1]))
