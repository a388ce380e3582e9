"""A made-up language whose every sentence has one English sentence, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from kubenas_trial.datasets.parallel_text import Pair

T = TypeVar("T")

NOUNS: Final = (
    "artist", "baker", "boat", "captain", "cloud", "daughter", "doctor", "dragon", "farmer", "forest", "garden",
    "giant", "horse", "island", "judge", "king", "lantern", "letter", "merchant", "mountain", "nurse", "owl",
    "painter", "pilot", "queen", "river", "robot", "sailor", "singer", "soldier", "stone", "student", "teacher",
    "tiger", "tower", "traveller", "village", "whale", "window", "wizard",
)  # fmt: skip
VERBS: Final = (
    "answer", "call", "clean", "count", "cover", "follow", "greet", "guard", "help", "lift", "paint", "praise",
    "pull", "push", "reach", "remember", "repair", "trust", "visit", "watch",
)  # fmt: skip
ADJECTIVES: Final = (
    "ancient", "blue", "brave", "clever", "empty", "gentle", "golden", "hidden", "hungry", "quiet", "small",
    "strange",
)  # fmt: skip
PREPOSITIONS: Final = (
    "behind", "near", "under", "with",
)  # fmt: skip
CONJUNCTIONS: Final = (
    "and", "because", "but", "while",
)  # fmt: skip
DETERMINERS: Final = ("the", "this", "every")
PLURAL_DETERMINERS: Final = ("the", "these", "many")
TENSES: Final = ("past", "present", "future")

_ONSETS: Final = ("b", "d", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
_VOWELS: Final = ("a", "e", "i", "o", "u")
_TENSE_ENDINGS: Final = {"past": "esh", "present": "ash", "future": "ush"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun with what belongs to it."""

    determiner: str
    adjective: str | None
    noun: str
    plural: bool


@dataclass(frozen=True, slots=True)
class Clause:
    """Who does what to whom, perhaps where."""

    subject: Phrase
    verb: str
    tense: str
    object: Phrase
    preposition: str | None
    place: Phrase | None


@dataclass(frozen=True, slots=True)
class Sentence:
    """One or two clauses."""

    first: Clause
    conjunction: str | None
    second: Clause | None


def reversible_pairs(count: int, seed: int = 0) -> list[Pair]:
    """`count` different sentences in English and in the made-up language.

    That language has a word of its own for each English word, and endings for plural, object and tense; words of a
    phrase, phrases of a clause and clauses of a sentence come in the opposite order.
    """
    rng = Random(seed)
    found: dict[Sentence, None] = {}
    while len(found) < count:
        found.setdefault(_sentence(rng))
    return [Pair(english(sentence), made_up(sentence)) for sentence in found]


def english(sentence: Sentence) -> str:
    """The sentence in English."""
    words = _english_clause(sentence.first)
    if sentence.conjunction and sentence.second:
        words += [sentence.conjunction, *_english_clause(sentence.second)]
    return " ".join(words) + "."


def made_up(sentence: Sentence) -> str:
    """The sentence in the made-up language."""
    words = _made_up_clause(sentence.first)
    if sentence.conjunction and sentence.second:
        words = [*_made_up_clause(sentence.second), WORDS[sentence.conjunction], *words]
    return " ".join(words) + "."


def _english_clause(clause: Clause) -> list[str]:
    match clause.tense:
        case "past":
            verb = f"{clause.verb}d" if clause.verb.endswith("e") else f"{clause.verb}ed"
        case "present":
            ending = "es" if clause.verb.endswith("ch") or clause.verb.endswith("sh") else "s"
            verb = clause.verb if clause.subject.plural else clause.verb + ending
        case _:
            verb = f"will {clause.verb}"
    words = [*_english_phrase(clause.subject), verb, *_english_phrase(clause.object)]
    if clause.preposition and clause.place:
        words += [clause.preposition, *_english_phrase(clause.place)]
    return words


def _english_phrase(phrase: Phrase) -> list[str]:
    noun = f"{phrase.noun}s" if phrase.plural else phrase.noun
    return [phrase.determiner, *([phrase.adjective] if phrase.adjective else []), noun]


def _made_up_clause(clause: Clause) -> list[str]:
    words = [
        *_made_up_phrase(clause.object, "ot"),
        WORDS[clause.verb] + _TENSE_ENDINGS[clause.tense],
        *_made_up_phrase(clause.subject, ""),
    ]
    if clause.preposition and clause.place:
        words = [*_made_up_phrase(clause.place, ""), WORDS[clause.preposition], *words]
    return words


def _made_up_phrase(phrase: Phrase, ending: str) -> list[str]:
    noun = WORDS[phrase.noun] + ("im" if phrase.plural else "") + ending
    return [noun, *([WORDS[phrase.adjective]] if phrase.adjective else []), WORDS[phrase.determiner]]


def _sentence(rng: Random) -> Sentence:
    if rng.random() < 0.6:
        return Sentence(_clause(rng), None, None)
    return Sentence(_clause(rng), _one(rng, CONJUNCTIONS), _clause(rng))


def _clause(rng: Random) -> Clause:
    placed = rng.random() < 0.4
    return Clause(
        _phrase(rng),
        _one(rng, VERBS),
        _one(rng, TENSES),
        _phrase(rng),
        _one(rng, PREPOSITIONS) if placed else None,
        _phrase(rng) if placed else None,
    )


def _phrase(rng: Random) -> Phrase:
    plural = rng.random() < 0.4
    determiner = _one(rng, PLURAL_DETERMINERS if plural else DETERMINERS)
    adjective = _one(rng, ADJECTIVES) if rng.random() < 0.4 else None
    return Phrase(determiner, adjective, _one(rng, NOUNS), plural)


def _one(rng: Random, values: Sequence[T]) -> T:
    # Of Python's draws only random() is promised to stay the same.
    return values[int(rng.random() * len(values))]


def _words() -> dict[str, str]:
    """A made-up word for each English word; all differ, with whatever endings, as all are of two syllables."""
    rng = Random(1)
    english_words = [*NOUNS, *VERBS, *ADJECTIVES, *PREPOSITIONS, *CONJUNCTIONS, *DETERMINERS, *PLURAL_DETERMINERS]
    made: dict[str, str] = {}
    for word in dict.fromkeys(english_words):
        while word not in made:
            syllables = [_one(rng, _ONSETS) + _one(rng, _VOWELS) for _ in range(2)]
            candidate = "".join(syllables) + _one(rng, _ONSETS)
            if candidate not in made.values():
                made[word] = candidate
    return made


WORDS: Final = _words()
