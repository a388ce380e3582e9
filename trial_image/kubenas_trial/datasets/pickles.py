"""Pickles of arrays, read without running what they may contain: the published data sets that come so are old."""

from __future__ import annotations

import math
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kubenas_trial.errors import InvalidDatasetError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Opcodes that data need: no registered extensions, persistent ids, buffers of elsewhere or objects of Python 1.
_REFUSED: Final = frozenset(
    {
        *("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ_EX", "NEXT_BUFFER", "READONLY_BUFFER"),
        "FROZENSET",
    }
)
# Hashing a tuple of tuples of … ends the process where there are too many.
_TUPLES: Final = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_MOST_TUPLES: Final = 10_000
_MOST_DIMENSIONS: Final = 8
# Truth values, whole and real numbers of up to 8 bytes; above all no objects.
_TYPE: Final = re.compile(r"b1|[iu][1248]|f[248]")


class _Allowed:
    """What stands for one thing that a pickle may ask for; nothing can be set in it but by `__setstate__`."""

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError(f"{type(self).__name__.strip('_').lower()} has no state")


class _Bytes(_Allowed):
    """Bytes as text, as protocols of Python 2 have them: `_codecs.encode(text, "latin1")`, or `bytes()`."""

    def __init__(self, text: str = "", encoding: str = "latin1") -> None:
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("bytes are written in another way than Python does")
        self.text = text


class _Dtype(_Allowed):
    """`numpy.dtype("f4", False, True)`, whose state adds the order of bytes."""

    def __init__(self, name: str, *_: Any) -> None:
        if not isinstance(name, str) or not _TYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"an array of type {name!r:.40}, and only numbers of up to 8 bytes are read")
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
            raise pickle.UnpicklingError("an array's type has parts, and only plain numbers are read")
        self.order = state[1]


class _Array(_Allowed):
    """`numpy.ndarray`, whose state has its shape, its type, whether it is in Fortran's order, and its bytes."""

    state: tuple[Any, ...] | None = None

    def __setstate__(self, state: Any) -> None:
        if self.state is not None or not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("an array is written in another way than numpy does")
        self.state = state[1:]


class _Scalar(_Allowed):
    """`numpy.core.multiarray.scalar(dtype, bytes)`."""

    def __init__(self, dtype: Any, data: Any) -> None:
        self.state = ((), dtype, False, data)


class _Sparse(_Allowed):
    """`scipy.sparse.csr_matrix`, whose state is the dictionary of its attributes."""

    state: Mapping[str, Any] | None = None

    def __setstate__(self, state: Any) -> None:
        if self.state is not None or not isinstance(state, dict):
            raise pickle.UnpicklingError("a sparse matrix is written in another way than scipy does")
        self.state = state


class _Reconstruct(_Allowed):
    """`numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b"b")`, an array whose state follows."""

    def __new__(cls, kind: Any, *_: Any) -> Any:
        if kind is not _Array:
            raise pickle.UnpicklingError("an array of a kind of its own, and only numpy's are read")
        return _Array()


class _FromBuffer(_Allowed):
    """`numpy.core.numeric._frombuffer(data, dtype, shape, "C")`, of protocol 5."""

    def __new__(cls, data: Any, dtype: Any, shape: Any, order: Any) -> Any:
        if order not in ("C", "F"):
            raise pickle.UnpicklingError(f"an array in the order {order!r:.40}, and C and F are read")
        array = _Array()
        array.state = (shape, dtype, order == "F", data)
        return array


class _List(_Allowed):
    """`list`, and `set`, of a list that is written already; what is to hold each value of a defaultdict, too."""

    def __new__(cls, items: Any = None) -> Any:
        if items is not None and not isinstance(items, list):
            raise pickle.UnpicklingError("a list of what is none")
        return [] if items is None else items


class _Dict(_Allowed):
    """`collections.defaultdict(list)`, empty, to be filled; without a default, as reading is to add nothing."""

    def __new__(cls, *_: Any) -> Any:
        return {}


# By module and name, whichever Python, numpy and scipy wrote them: numpy 2 has them below _core.
_NUMPY: Final[Mapping[str, Mapping[str, type[_Allowed]]]] = {
    "multiarray": {"_reconstruct": _Reconstruct, "scalar": _Scalar},
    "numeric": {"_frombuffer": _FromBuffer},
}
_GLOBALS: Final[Mapping[tuple[str, str], type[_Allowed]]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    **{
        (f"numpy.{core}.{module}", name): kind
        for core in ("core", "_core")
        for module, names in _NUMPY.items()
        for name, kind in names.items()
    },
    **{
        (module, kind): _Sparse
        for module in ("scipy.sparse.csr", "scipy.sparse._csr", "scipy.sparse")
        for kind in ("csr_matrix", "csr_array")
    },
    ("collections", "defaultdict"): _Dict,
    **{
        (module, name): kind
        for module in ("__builtin__", "builtins")
        for name, kind in (("list", _List), ("set", _List), ("dict", _Dict), ("bytes", _Bytes))
    },
    ("_codecs", "encode"): _Bytes,
}


class _DataUnpickler(pickle.Unpickler):
    """Calls nothing but the classes above, whatever a file asks for."""

    def find_class(self, module: str, name: str) -> Any:
        kind = _GLOBALS.get((module, name))
        if kind is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only arrays are read")
        return kind


def read_pickle(path: Path) -> Any:
    """The lists, dictionaries, numbers, arrays and sparse matrices in a pickle; strings of Python 2 are latin-1.

    Arrays are made here, of plain numbers, from as many bytes as their shape says; all together are no larger than the
    file.

    Raises:
        InvalidDatasetError: it cannot be read, is none, or asks for more than data.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidDatasetError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        _check_opcodes(data)
        return _Builder(len(data)).built(_DataUnpickler(BytesIO(data), encoding="latin1").load())
    # A damaged pickle can fail in any way.
    except Exception as error:
        raise InvalidDatasetError(f"{path}: is no pickle of arrays ({error}): fetch it again") from None


def _check_opcodes(data: bytes) -> None:
    """What the unpickler would not survive: room for very many remembered objects, or what is longer than the file."""
    tuples = 0
    for opcode, argument, position in pickletools.genops(data):
        if opcode.name in _REFUSED:
            raise pickle.UnpicklingError(f"{opcode.name} at byte {position} is not for data")
        if opcode.name in {"PUT", "BINPUT", "LONG_BINPUT"} and not 0 <= int(argument or 0) <= len(data):
            raise pickle.UnpicklingError(f"{opcode.name} at byte {position} is beyond all objects")
        tuples += opcode.name in _TUPLES
        if tuples > _MOST_TUPLES:
            raise pickle.UnpicklingError(f"more than {_MOST_TUPLES} tuples")


class _Builder:
    """Makes values of what stands for them, each once however often it occurs.

    Args:
        room: bytes that all arrays and texts may take.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._known: dict[int, Any] = {}
        # So that no id is given anew to another object meanwhile.
        self._kept: list[Any] = []

    def built(self, value: Any) -> Any:
        if not isinstance(value, _Allowed | list | tuple | dict | set):
            if isinstance(value, type):
                raise pickle.UnpicklingError("a class is no data")
            return value
        if id(value) not in self._known:
            self._kept.append(value)
            make = next(make for kind, make in self._makers.items() if isinstance(value, kind))
            self._known[id(value)] = make(self, value)
        return self._known[id(value)]

    def _bytes(self, value: Any) -> bytes:
        if isinstance(value, _Bytes):
            value = value.text
        # In Python 2 strings were bytes.
        data = value.encode("latin1") if isinstance(value, str) else value
        if not isinstance(data, bytes | bytearray):
            raise pickle.UnpicklingError("an array without its bytes")
        self._room -= len(data)
        if self._room < 0:
            raise pickle.UnpicklingError("its arrays are larger than the file")
        return bytes(data)

    def _array(self, value: _Array | _Scalar) -> Any:
        shape, dtype, fortran, data = value.state or (None, None, None, None)
        if not isinstance(shape, tuple) or len(shape) > _MOST_DIMENSIONS or not isinstance(dtype, _Dtype):
            raise pickle.UnpicklingError("an array without its shape and type")
        if not all(type(side) is int and side >= 0 for side in shape):
            raise pickle.UnpicklingError(f"an array of the shape {shape!r:.80}")
        kind, raw = np.dtype(dtype.order + dtype.name), self._bytes(data)
        if math.prod(shape) * kind.itemsize != len(raw):
            raise pickle.UnpicklingError(f"an array of the shape {shape!r:.80} and type {kind} in {len(raw)} bytes")
        array = np.frombuffer(raw, kind).astype(kind.newbyteorder("=")).reshape(shape, order="F" if fortran else "C")
        return array if isinstance(value, _Array) else array.item()

    def _sparse(self, value: _Sparse) -> csr_matrix:
        from scipy.sparse import csr_matrix  # noqa: PLC0415 - a quarter as long as torch, and CIFAR needs none

        state = value.state or {}
        shape = state.get("_shape", state.get("shape"))
        parts = [self.built(state.get(name)) for name in ("data", "indices", "indptr")]
        whole = isinstance(shape, tuple) and len(shape) == 2 and all(type(side) is int and side >= 0 for side in shape)
        if not whole or not all(isinstance(part, np.ndarray) and part.ndim == 1 for part in parts):
            raise pickle.UnpicklingError("a sparse matrix without its shape, data, indices and indptr")
        if any(part.dtype.kind not in "iu" for part in parts[1:]):
            raise pickle.UnpicklingError("a sparse matrix whose indices are no whole numbers")
        matrix = csr_matrix(tuple(parts), shape=shape)
        # Offsets of entries that a file claims are not to be trusted.
        matrix.check_format(full_check=True)
        return matrix

    def _list(self, value: Any) -> Any:
        return type(value)(map(self.built, value))

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        return {self.built(key): self.built(each) for key, each in value.items()}

    def _refuse(self, value: _Allowed) -> Any:
        raise pickle.UnpicklingError(f"a {type(value).__name__.strip('_').lower()} is no data")

    _makers: Final[Mapping[type, Callable[..., Any]]] = {
        _Bytes: _bytes,
        _Array: _array,
        _Scalar: _array,
        _Sparse: _sparse,
        _Allowed: _refuse,
        list: _list,
        tuple: _list,
        set: _list,
        dict: _dict,
    }
