"""A trainer for tests: scikit-learn's perceptron on its digits by KubeNAS' SDK, slow enough to be scraped.

As a process: ``python -m tests.dashboards.trainer SECONDS``, which an epoch takes at least.
"""

from __future__ import annotations

import sys
import time

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from kubenas_trial.contract import Trial

# What a small GPU could not hold: these trials end without a result.
MOST_UNITS = 224


def main(seconds: float) -> None:
    with Trial.from_environment() as trial:
        images, labels = load_digits(return_X_y=True)
        train_x, valid_x, train_y, valid_y = train_test_split(images / 16, labels, stratify=labels, random_state=0)
        (candidate,) = trial.candidates
        units, layers = (int(candidate.architecture[name]) for name in ("units", "layers"))
        if units * layers > MOST_UNITS:
            raise MemoryError(f"{layers} layers of {units} units")
        model = MLPClassifier(
            hidden_layer_sizes=[units] * layers,
            learning_rate_init=candidate.architecture["learningRate"],
            random_state=trial.seed,
        )
        for epoch in range(1, candidate.epochs + 1):
            begin = time.monotonic()
            model.partial_fit(train_x, train_y, classes=range(10))
            params = sum(weights.size for weights in (*model.coefs_, *model.intercepts_))
            accuracy = model.score(valid_x, valid_y)
            trial.report(candidate, step=epoch, accuracy=accuracy, params=params, loss=model.loss_)
            time.sleep(max(0.0, begin + seconds - time.monotonic()))


if __name__ == "__main__":
    main(float(sys.argv[1]))
