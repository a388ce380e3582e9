"""Reviews made by a grammar, to try things out with: positive or negative by who says what of what."""

from __future__ import annotations

from random import Random
from typing import Final

from kubenas_trial.datasets.labelled_text import LabelledTexts, split_labelled
from kubenas_trial.datasets.tables import Row

SUMMARY: Final = "4,000 reviews made by a grammar, whose sentiment turns with negations and concessions"

_COUNT: Final = 4000
_THINGS: Final = (
    "plot", "cast", "story", "music", "script", "camera work", "ending", "dialogue", "pace", "humour", "opening",
    "lead actor", "villain", "soundtrack", "first half", "last act", "editing", "premise", "costume design", "finale",
)  # fmt: skip
_GOOD: Final = (
    "good", "great", "lovely", "clever", "moving", "fresh", "funny", "gripping", "superb", "charming", "elegant",
    "warm", "witty", "brilliant", "touching", "inventive", "honest", "tender", "thrilling", "memorable",
)  # fmt: skip
_BAD: Final = (
    "bad", "dull", "weak", "tired", "clumsy", "shallow", "boring", "stale", "awful", "flat", "tedious", "cold",
    "silly", "hollow", "messy", "lifeless", "forced", "bland", "grating", "forgettable",
)  # fmt: skip
_DEGREES: Final = ("", "", "really ", "quite ", "very ", "rather ", "truly ", "so ")
_OPENINGS: Final = (
    "",
    "",
    "to be fair , ",
    "in the end , ",
    "we agreed that ",
    "my friend thinks that ",
    "i felt that ",
)
_ENDS: Final = ("", "", " this time", " from start to finish", " for most of the film", ", as far as i can tell")


def sentiment(split_seed: int) -> LabelledTexts:
    """4,000 different reviews with the labels negative and positive, the same ones always.

    A review says something of one or two things. "not" and "hardly" turn an adjective round; of two clauses, the one
    that is conceded ("although …") does not count, so words alone do not tell.
    """
    rng = Random(0)
    reviews: dict[str, str] = {}
    while len(reviews) < _COUNT:
        positive = rng.random() < 0.5
        reviews.setdefault(_review(rng, positive), "positive" if positive else "negative")
    rows = [Row(text, label, f"review {number}") for number, (text, label) in enumerate(reviews.items(), start=1)]
    return split_labelled({"train": rows}, split_seed)


def _review(rng: Random, positive: bool) -> str:
    claim = f"{rng.choice(_OPENINGS)}{_clause(rng, positive)}"
    form = rng.randrange(4)
    if form == 0:
        text = claim
    else:
        conceded = _clause(rng, rng.random() < 0.5)
        text = (
            f"although {conceded} , {claim}" if form == 1 else
            f"{claim} , even though {conceded}" if form == 2 else
            f"{conceded} but {claim}"
        )  # fmt: skip
    return f"{text}{rng.choice(_ENDS)} ."


def _clause(rng: Random, positive: bool) -> str:
    negated = rng.random() < 0.4
    adjective = rng.choice(_GOOD if positive != negated else _BAD)
    verb = rng.choice(("is not ", "is hardly ", "was never ") if negated else ("is ", "was ", "seems "))
    return f"the {rng.choice(_THINGS)} {verb}{rng.choice(_DEGREES)}{adjective}"
