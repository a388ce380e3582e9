"""Words spoken by espeak-ng in many voices, as a data set for keyword spotting.

    python -m benchmarks.spoken_words FOLDER

The files' names tell the voice, so that one voice's recordings are all training, validation or test.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

WORDS: Final = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
# Variants of espeak-ng's voices that sound like people.
VOICES: Final = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Henrique", "Hugo", "Lee", "Marco", "Mario"),
    *("Michael", "Mike", "Nguyen", "anika", "antonio", "belinda", "benjamin", "boris", "caleb", "david", "ed", "linda"),
    *("max", "michel", "norbert", "pablo", "paul", "robert", "sandro", "steph", "travis", "victor"),
)
_ACCENTS: Final = ("en-us", "en-gb", "en-gb-scotland")
# Pitch (0 to 99) and words a minute.
_MANNERS: Final = ((35, 140), (60, 190))


def speak(folder: Path, words: Sequence[str] = WORDS, voices: Sequence[str] = VOICES) -> int:
    """Have each of `voices` say each of `words` six times, into a folder for each word; the number of recordings.

    Raises:
        FileNotFoundError: espeak-ng is not installed.
        subprocess.CalledProcessError: it failed.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise FileNotFoundError("espeak-ng is not installed: apt-get install espeak-ng")
    count = 0
    for word in words:
        (folder / word).mkdir(parents=True, exist_ok=True)
        for voice in voices:
            takes = ((accent, *manner) for accent in _ACCENTS for manner in _MANNERS)
            for take, (accent, pitch, speed) in enumerate(takes):
                file = folder / word / f"{voice}_nohash_{take}.wav"
                options = ["-v", f"{accent}+{voice}", "-p", str(pitch), "-s", str(speed), "-w", str(file)]
                subprocess.run([program, *options, word], check=True, capture_output=True)
                count += 1
    return count


if __name__ == "__main__":
    print(speak(Path(sys.argv[1])), "recordings")
