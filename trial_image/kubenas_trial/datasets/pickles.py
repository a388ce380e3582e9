"""Pickles of arrays, read without running what they may contain."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from kubenas_trial.errors import InvalidDatasetError

# All that numpy's arrays and scalars need, in whichever Python and numpy they were written. numpy 2 has them below
# _core; bytes of Python 2's protocols pass through _codecs.
_NUMPY = {
    "multiarray": ("_reconstruct", "scalar"),
    "numeric": ("_frombuffer",),
}
_ALLOWED = frozenset(
    {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
    | {(f"numpy.{core}.{module}", name) for core in ("core", "_core") for module in _NUMPY for name in _NUMPY[module]}
)


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only arrays are read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary of lists and arrays in a pickle, such as a batch of CIFAR.

    Raises:
        InvalidDatasetError: it cannot be read, is none, or would run code.
    """
    try:
        with path.open("rb") as file:
            found = _ArraysOnly(file, encoding="latin1").load()
    except OSError as error:
        raise InvalidDatasetError(f"{path}: cannot be read: {error.strerror}") from None
    # A damaged pickle can fail in any way.
    except Exception as error:
        raise InvalidDatasetError(f"{path}: is no pickle of arrays ({error}): fetch it again") from None
    if not isinstance(found, dict):
        raise InvalidDatasetError(f"{path}: holds no dictionary: fetch it again")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in found.items()}
