"""`python -m kubenas_trial`: evaluate the candidates that the environment describes."""

from __future__ import annotations

import logging

from kubenas_trial.contract import Trial
from kubenas_trial.run import run


def main() -> None:
    """Run one trial by its contract."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with Trial.from_environment() as trial:
        run(trial)


if __name__ == "__main__":
    main()
