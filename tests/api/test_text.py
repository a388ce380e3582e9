"""Text of others in messages."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from kubenas.api.base import Condition
from kubenas.api.text import clean
from kubenas.api.trial import Failure
from kubenas.experiment.actions import MAX_ANNOUNCEMENT, Announcement


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m b", "ared b"),
        ("\x1b]0;title\x07text", "text"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        (" 10%|#\r 50%|#####\r100%|##########\nKilled", "100%|##########\nKilled"),
        ("a\x00b\x07c\x7fd\x85e", "abcde"),
        ("\u202eevil\u202c \ud800 \U0001f600", "evil  \U0001f600"),
        ("Genauigkeit für Köln: 数据", "Genauigkeit für Köln: 数据"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_no_link_to_pydantic() -> None:
    class Settings(BaseModel):
        size: int

    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"size": "x"})
    assert "pydantic.dev" in str(caught.value)
    said = clean(str(caught.value) + "\nand more")
    assert "pydantic.dev" not in said
    assert said.startswith("1 validation error for Settings\nsize\n")
    assert said.endswith("\nand more")


LINK = "For further information visit https://errors.pydantic.dev/2/v"
PARTS = [*LINK.split(" "), " ", LINK, "\x1b[", "\x1b]", "0", ";", "m", "\r", "\n", "\x07", "\ud800", "\u202e"]
TEXT = st.text() | st.lists(st.sampled_from(PARTS)).map("".join)


@given(TEXT)
def test_text_is_clean_wherever_it_goes(text: str) -> None:
    now = datetime.now(UTC)
    said = [
        Condition(
            type="T", status="True", reason="R", message=text, observed_generation=1, last_transition_time=now
        ).message,
        Failure(attempt=1, reason="R", message=text, time=now).message,
        Announcement("Normal", "R", text).message,
    ]
    assert len(set(said)) == 1
    assert clean(said[0]) == said[0]
    assert not {c for c in said[0] if unicodedata.category(c) in ("Cc", "Cs")} - {"\n", "\t"}
    said[0].encode()


def test_an_event_holds_so_much() -> None:
    assert len(Announcement("Normal", "R", "x" * 5000).message) == MAX_ANNOUNCEMENT
