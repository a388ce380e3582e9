"""What all tests share."""

from hypothesis import settings

pytest_plugins = ["tests.cluster.fixtures"]

# Time says more about the machine than about the code; CI draws the same examples every time.
settings.register_profile("kubenas", deadline=None, derandomize=bool(settings().derandomize))
settings.load_profile("kubenas")
