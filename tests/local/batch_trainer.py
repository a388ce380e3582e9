"""A trainer that scores a batch by the SDK; TEST_FOLDER says how it goes: see `tests.local.test_batches`."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from kubenas_trial.contract import Candidate, Trial


def value(candidate: Candidate) -> float:
    """Depends on the architecture alone."""
    written = json.dumps(candidate.architecture.to_json(), sort_keys=True)
    return hashlib.sha256(written.encode()).digest()[0] / 256


def main() -> None:
    """Score the candidates; those that `fatal` names end the process, and those that `wrong` names fail alone."""
    folder = Path(os.environ["TEST_FOLDER"])
    fatal, wrong = ((folder / name).read_text().split() for name in ("fatal", "wrong"))
    with Trial.from_environment() as trial:
        scored = folder / f"{trial.document.trial}-{trial.document.attempt}"
        for candidate in trial.candidates:
            with scored.open("a") as file:
                file.write(f"{candidate.id}\n")
            if candidate.id in fatal:
                wait_until_read(folder)
                os._exit(9)
            if candidate.id in wrong:
                trial.fail(candidate, MemoryError(f"no memory for {candidate.id}"))
            else:
                trial.report(candidate, 1, accuracy=value(candidate), **dict.fromkeys(METRICS, 1.0))


METRICS = [f"metric_{number}" for number in range(13)]


def wait_until_read(folder: Path) -> None:
    """Until the test lets it go on."""
    while not (folder / "go").exists():
        pass


if __name__ == "__main__":
    main()
