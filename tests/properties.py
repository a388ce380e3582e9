"""How many examples the tests of properties draw."""

from __future__ import annotations

from hypothesis import settings

# `make test` finds what breaks often, `make test-properties` what breaks seldom.
THOROUGH = "thorough"
_TIMES_AS_MANY = 10


def examples(number: int) -> settings:
    """So many examples, where each takes long; ten times as many in `make test-properties`."""
    return settings(max_examples=number * (_TIMES_AS_MANY if settings.get_current_profile_name() == THOROUGH else 1))


def register_profiles() -> None:
    """The usual profile and the thorough one, neither with a limit in time: that says more about the machine."""
    # CI draws the same examples every time.
    settings.register_profile("usual", deadline=None, max_examples=40, derandomize=bool(settings().derandomize))
    settings.register_profile(THOROUGH, deadline=None, max_examples=1000, derandomize=False, print_blob=True)
