"""Reviews made by a grammar, to try things out with: positive or negative by who says what of what."""

from __future__ import annotations

from random import Random
from typing import Final

from kubenas_trial.datasets.labelled_text import LabelledTexts, split_labelled
from kubenas_trial.datasets.tables import Row

SUMMARY: Final = "4,000 reviews made by a grammar, whose sentiment turns with negations and concessions"

_COUNT: Final = 4000
# Shares: of reviews that say one thing, of those whose two things agree; of clauses.
_ONE: Final = 0.3
_AGREED: Final = 0.4
_NEGATED: Final = 0.2
_PAIRED: Final = 0.5
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

    A review says one or two things. Two agree, or one is conceded ("although …") and is the opposite of what counts;
    "not" and "hardly" turn adjectives round. So words alone tell three reviews of four, and their order the others.
    Masked words can be learned from, as the two things of most reviews agree.
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
    form = rng.random()
    if form < _ONE:
        text = claim
    elif form < _ONE + _AGREED:
        text = f"{claim} and {_clause(rng, positive)}"
    else:
        conceded = _clause(rng, not positive)
        text = rng.choice(
            (f"although {conceded} , {claim}", f"{claim} , even though {conceded}", f"{conceded} but {claim}")
        )
    return f"{text}{rng.choice(_ENDS)} ."


def _clause(rng: Random, positive: bool) -> str:
    negated = rng.random() < _NEGATED
    degree, words = rng.choice(_DEGREES), _GOOD if positive != negated else _BAD
    if rng.random() < _PAIRED:
        adjectives = (" or " if negated else " and ").join(rng.sample(words, 2))
    else:
        adjectives = rng.choice(words)
    verb = rng.choice(("is not ", "is hardly ", "was never ") if negated else ("is ", "was ", "seems "))
    return f"the {rng.choice(_THINGS)} {verb}{degree}{adjectives}"
