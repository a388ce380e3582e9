"""The memory that tensors take, counted: the same on every device and in every process."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_SPARSE: Final = frozenset({torch.sparse_coo, torch.sparse_csr})


class LiveMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are in use at once, within a `with`.

    Each storage counts once, from the operation that makes it until nothing refers to it, autograd included. What an
    operation takes for itself while it runs, such as the workspace of a convolution, is not seen: it depends on the
    device and its libraries. Tensors without storage (device `meta`) count as if they had one.

    Attributes:
        bytes: in use now.
        peak: the most so far.
    """

    def __init__(self, held: Iterable[Tensor] = ()) -> None:
        """Count from here, with what `held` has already."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0
        self.peak = 0
        self._live: dict[int, weakref.ref[Any]] = {}
        for tensor in held:
            self._see(tensor)

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **kwargs) if kwargs else func(*args)
        # Nearly all give one tensor: going through what others give takes as long as a small operation itself.
        if isinstance(result, Tensor):
            self._see(result)
        elif result is not None:
            for each in tree_leaves(result):
                if isinstance(each, Tensor):
                    self._see(each)
        return result

    def _see(self, tensor: Tensor) -> None:
        if tensor.layout in _SPARSE:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live:
            return
        size = storage.nbytes()

        def freed(_: Any) -> None:
            self.bytes -= size
            del self._live[key]

        self._live[key] = weakref.ref(storage, freed)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
