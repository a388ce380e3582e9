"""`python -m kubenas_trial.storage.remove AT EXPERIMENT TRIALS`: remove checkpoints, as `storage.keep` asks.

`AT` is the folder or URL with the folders of all trials, `TRIALS` their numbers, such as `0-3,5`.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Final

from kubenas_trial.storage.checkpoints import place_at
from kubenas_trial.storage.place import StorageError

_RANGE: Final = re.compile(r"(\d+)(?:-(\d+))?")
_LOG = logging.getLogger("kubenas_trial")


def remove(at: str, experiment: str, trials: str) -> int:
    """Remove the folders of `experiment`'s `trials`, as far as they are there; how many were.

    Raises:
        ValueError: `trials` are no numbers.
        StorageError: the storage refuses, or cannot be reached.
    """
    ranges = [_range(text) for text in trials.split(",")]
    place, removed = place_at(at), 0
    for name in place.folders():
        owner, _, number = name.rpartition("-")
        # No other spelling of a number is a trial's.
        if owner != experiment or not number.isdecimal() or number != str(int(number)):
            continue
        if any(int(number) in one for one in ranges):
            place.remove_folder(name)
            removed += 1
    return removed


def _range(text: str) -> range:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no range of numbers, such as 0-3")
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def main() -> None:
    """Run the command."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    at, experiment, trials = sys.argv[1:]
    try:
        removed = remove(at, experiment, trials)
    except StorageError as error:
        sys.exit(f"checkpoints were not removed: {error}")
    _LOG.info("checkpoints of %d trials were removed", removed)


if __name__ == "__main__":
    main()
