"""Published pickles are read as numpy and scipy wrote them, and no pickle does more than give data."""

from __future__ import annotations

import math
import pickle
import struct
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, boolean_dtypes, floating_dtypes, integer_dtypes
from numpy._core import multiarray
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from kubenas_trial.datasets.pickles import read_pickle
from kubenas_trial.errors import InvalidDatasetError

NUMBERS = st.one_of(integer_dtypes(), floating_dtypes(), boolean_dtypes())
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder: Path, data: bytes) -> Any:
    file = folder / "data"
    file.write_bytes(data)
    return read_pickle(file)


@in_one_folder
@given(
    array=arrays(NUMBERS, array_shapes(min_dims=0, min_side=0, max_side=4)),
    protocol=st.integers(2, pickle.HIGHEST_PROTOCOL),
    fortran=st.booleans(),
)
def test_arrays_and_scalars_of_numbers_are_read_as_written(
    tmp_path: Path, array: NDArray[Any], protocol: int, *, fortran: bool
) -> None:
    written = np.asfortranarray(array) if fortran else array
    found = read(tmp_path, pickle.dumps({"array": written, b"same": written, "scalar": written.sum()}, protocol))
    np.testing.assert_array_equal(found["array"], written)
    assert found["array"].dtype == written.dtype.newbyteorder("=")
    assert found["array"] is found[b"same"]
    np.testing.assert_equal(found["scalar"], written.sum().item())


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_sparse_matrices_and_neighbours_are_read_as_written(tmp_path: Path, protocol: int) -> None:
    matrix = np.array([[0, 2.5, 0], [0, 0, 0]])
    graph = defaultdict(list, {0: [1, 2], 1: []})
    found, neighbours = read(tmp_path, pickle.dumps((csr_matrix(matrix), graph), protocol))
    np.testing.assert_array_equal(found.toarray(), matrix)
    assert neighbours == graph


def test_files_of_python_2_are_read(tmp_path: Path) -> None:
    array = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02i2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x04\x01\x00\xff\xfftb."
    )
    assert read(tmp_path, array).tolist() == [1, -1]


class Call:
    """What is written as a call of `function`, and a state."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self._parts = function, arguments, state

    def __reduce__(self) -> tuple[Any, ...]:
        return self._parts


def raw_array(shape: Any, dtype: Any, data: Any) -> Call:
    make = np.empty(0).__reduce__()[0]
    return Call(make, np.ndarray, (0,), b"b", state=(1, shape, dtype, False, data))


def raw_sparse(**changed: Any) -> Call:
    state = {"_shape": (1, 1), "data": np.ones(1), "indices": np.zeros(1, int), "indptr": np.array([0, 1])} | changed
    return Call(csr_matrix.__new__, csr_matrix, state=state)


def raw_dtype(name: str, *state: Any) -> Call:
    return Call(np.dtype, name, False, True, state=state or None)


MALICIOUS: dict[str, bytes] = {
    "objects": pickle.dumps(raw_array((8,), np.dtype(object), b"A" * 64), 2),
    "objects in a record": pickle.dumps(raw_array((8,), np.dtype([("a", object)]), b"A" * 64), 2),
    "a record by its state": pickle.dumps(
        raw_array((1,), raw_dtype("V8", 3, "|", None, ("a",), {}, 8, 1, 0), b"A" * 8), 2
    ),
    "objects from a buffer": pickle.dumps(
        Call(np.empty(1).__reduce_ex__(5)[0], b"A" * 64, np.dtype(object), (8,), "C"), 5
    ),
    "a scalar object": pickle.dumps(Call(multiarray.scalar, np.dtype(object), b"A" * 8), 2),
    "the array itself": pickle.dumps(Call(np.ndarray, (2**40,), np.dtype("f8")), 2),
    "too few bytes": pickle.dumps(raw_array((2**20, 2**20), np.dtype("f8"), b"A" * 64), 2),
    "too many bytes": pickle.dumps(raw_array((2,), np.dtype("f8"), b"A" * 64), 2),
    "a product that overflows": pickle.dumps(raw_array((2**32, 2**32), np.dtype("u1"), b""), 2),
    "a negative side": pickle.dumps(raw_array((-1, -8), np.dtype("u1"), b"A" * 8), 2),
    "sides of text": pickle.dumps(raw_array(("8",), np.dtype("u1"), b"A" * 8), 2),
    "many dimensions": pickle.dumps(raw_array((1,) * 60, np.dtype("u1"), b"A"), 2),
    "no bytes": pickle.dumps(raw_array((2,), np.dtype("f8"), [1.0, 2.0]), 2),
    "a list as bytes of Python 2": pickle.dumps(raw_array((1,), np.dtype("u1"), "\u20ac"), 2),
    "an array twice": pickle.dumps(raw_array((1,), np.dtype("u1"), b"A"), 2)[:-1] + b"(K\x01)b.",
    "columns without end": pickle.dumps(raw_sparse(indices=np.array([2**40])), 2),
    "rows that begin before the first": pickle.dumps(raw_sparse(indptr=np.array([-5, 1])), 2),
    "indices of real numbers": pickle.dumps(raw_sparse(indices=np.zeros(1)), 2),
    "a command": pickle.dumps(Call(eval, "1"), 2),
    "attributes of what may be asked for": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}X\x01\x00\x00\x00aK\x01sb.",
    "attributes of a class": b"\x80\x02cnumpy\nndarray\nN}X\x0c\x00\x00\x00__setstate__K\x01s\x86b.",
    "a class": b"\x80\x02cnumpy\nndarray\n.",
    "room for billions of objects": b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".",
    "terabytes": b"\x80\x05\x96" + struct.pack("<Q", 2**42) + b"AA.",
    "a long string": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"AA.",
    "tuples of tuples as a key": b"\x80\x02})" + b"\x85" * 2_000_000 + b"Ns.",
    "lists of lists": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "a list of itself by powers of two": b"\x80\x02]" + b"".join(b"q\x00]h\x00ah\x00a" for _ in range(200)) + b".",
    "an extension": b"\x80\x02\x82\x01.",
    "a buffer of elsewhere": b"\x80\x05\x97.",
    "nothing": b"",
}


# What is only data, however odd.
HARMLESS = {"a list of itself by powers of two"}


def test_no_malicious_pickle_ends_the_process(tmp_path: Path) -> None:
    for name, data in MALICIOUS.items():
        (tmp_path / name).write_bytes(data)
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from kubenas_trial.datasets.pickles import read_pickle\n"
        "from kubenas_trial.errors import InvalidDatasetError\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))\n"
        "for file in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        read_pickle(file)\n"
        "    except InvalidDatasetError as error:\n"
        "        assert str(error).startswith(f'{file}: is no pickle of arrays ('), error\n"
        "        print(file.name)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False, timeout=100
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.splitlines()) == sorted(MALICIOUS.keys() - HARMLESS)


def test_what_was_asked_for_is_not_changed_by_a_file(tmp_path: Path) -> None:
    for data in (data for name, data in MALICIOUS.items() if name not in HARMLESS):
        with pytest.raises(InvalidDatasetError):
            read(tmp_path, data)
    assert read(tmp_path, pickle.dumps(np.arange(3))).tolist() == [0, 1, 2]


def test_arrays_are_no_larger_than_their_file_however_often_they_share_bytes(tmp_path: Path) -> None:
    shared = b"A" * 10_000
    with pytest.raises(InvalidDatasetError, match="its arrays are larger than the file"):
        read(tmp_path, pickle.dumps([raw_array((10_000,), np.dtype("u1"), shared) for _ in range(100)], 4))


@in_one_folder
@given(
    shape=st.lists(st.integers(-2, 2**65) | st.integers(0, 4), max_size=4).map(tuple),
    name=st.sampled_from(["f8", "f4", "i1", "u2", "b1", "O8", "S3", "U1", "V2", "M8", "c16"]),
    data=st.binary(max_size=64),
)
def test_an_array_needs_a_plain_type_and_its_bytes(
    tmp_path: Path, shape: tuple[int, ...], name: str, data: bytes
) -> None:
    document = pickle.dumps(raw_array(shape, raw_dtype(name), data), 2)
    plain = name in {"f8", "f4", "i1", "u2", "b1"}
    # Of no bytes, too, numpy has no arrays whose other sides are beyond all memory.
    fits = min(shape, default=0) >= 0 and math.prod(max(1, side) for side in shape) * int(name[-1]) < 2**63
    if plain and fits and math.prod(shape) * int(name[1]) == len(data):
        assert read(tmp_path, document).shape == shape
    else:
        with pytest.raises(InvalidDatasetError, match="is no pickle of arrays"):
            read(tmp_path, document)


@in_one_folder
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_a_damaged_pickle_gives_data_or_one_error(
    tmp_path: Path, changes: list[tuple[int, int]], protocol: int
) -> None:
    value = {"data": np.arange(6.0).reshape(2, 3), "labels": [1, 2], "graph": defaultdict(list, {0: [1]})}
    data = bytearray(pickle.dumps(value, protocol))
    for place, byte in changes:
        data[place % len(data)] = byte
    with suppress(InvalidDatasetError):
        read(tmp_path, bytes(data))
