"""One trial trained by several processes, one for each GPU of its pod.

The trial's own process is rank 0: it reports, evaluates and writes checkpoints. It starts the others itself, each as a
trial without metrics or message, with the environment that torchrun gives: RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR
and MASTER_PORT. Each learns from its share of the training examples; gradients are averaged at every step, once all
processes have theirs: one that is out of memory can then say so, and all go on with smaller batches. PyTorch's
DistributedDataParallel averages while gradients are computed, where the others would wait for that one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Final, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # there, but not in its list

from kubenas_trial.devices import find_device
from kubenas_trial.environment import RANK_LOG
from kubenas_trial.errors import InvalidTrialError, TrialError
from kubenas_trial.termination import read_error

T = TypeVar("T")

VARIABLE: Final = "KUBENAS_PROCESSES"
_ADDRESS: Final = "127.0.0.1"
# While rank 0 evaluates, the others wait for its next step; a dead process is noticed without a timeout.
_TIMEOUT: Final = timedelta(days=7)
# Time that a rank has to end by itself, or to say what it failed of.
_GRACE_SECONDS: Final = 10.0


def rank() -> int:
    """Number of this process among those of the trial, 0 where it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes of the trial."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(order: Sequence[int]) -> list[int]:
    """What this process takes of `order`: every `world_size`th, some twice so that all take equally many.

    The batches that the processes take at the same step together are the batch that one process would take.
    """
    size = world_size()
    padded = -(-len(order) // size) * size
    return [order[index % len(order)] for index in range(rank(), padded, size)]


def in_any(values: Sequence[bool]) -> list[bool]:
    """Whether each of `values` is true in any process of the trial. All processes ask at the same point."""
    found = torch.tensor([*values], dtype=torch.uint8)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return [bool(one) for one in found.tolist()]


def average(tensors: Sequence[Tensor]) -> None:
    """Replace `tensors`, of one type and device, by their means over all processes."""
    if not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    flat /= world_size()
    for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def begin_alike(network: nn.Module) -> None:
    """Give `network` in all processes the weights and buffers that it has in that of rank 0."""
    for tensor in network.state_dict().values():
        dist.broadcast(tensor, 0)


@contextmanager
def joined(
    abort: Callable[[TrialError], None], cpus: int | None = None, environment: Mapping[str, str] = os.environ
) -> Iterator[torch.device]:
    """The device to train on, with the other processes of the trial joined, and started by rank 0.

    There is one for each GPU, or KUBENAS_PROCESSES of them, which is for a CPU too.

    Args:
        abort: ends this process with an error, from another thread: for when it waits for a rank that is gone.
        cpus: to be divided by the processes; None where each takes as many threads as the environment says.
        environment: the process's.

    Raises:
        InvalidTrialError: KUBENAS_PROCESSES is no number of processes that can be.
        TrialError: another rank has failed; with its reason, or RankFailed.
    """
    if "RANK" in environment:
        store = TCPStore(environment["MASTER_ADDR"], int(environment["MASTER_PORT"]), is_master=False)
        yield _join(store, int(environment["RANK"]), int(environment["WORLD_SIZE"]))
        dist.destroy_process_group()
        return
    count = _count(environment)
    if count == 1:
        yield find_device()
        return
    if cpus is not None:
        threads = max(1, cpus // count)
        torch.set_num_threads(threads)
        environment = {**environment, "OMP_NUM_THREADS": str(threads)}
    store = TCPStore(_ADDRESS, 0, is_master=True, wait_for_workers=False)
    with TemporaryDirectory() as folder, _Ranks(count, store.port, Path(folder), environment, abort):
        yield _join(store, 0, count)
        dist.destroy_process_group()


def loaded_once(load: Callable[[], T]) -> T:
    """What `load` gives, called by rank 0 alone; the tensors in it are in memory once for all processes of the trial.

    The others read what rank 0 wrote to a file, which is mapped, not copied; a write changes the own copy only.

    Args:
        load: gives what can be pickled.
    """
    if world_size() == 1:
        return load()
    path = [""]
    with ExitStack() as stack:
        if rank() == 0:
            path = [f"{stack.enter_context(TemporaryDirectory())}/data"]
            torch.save(load(), path[0])
        dist.broadcast_object_list(path)
        # Written just now, by a process of this trial.
        loaded: T = torch.load(path[0], mmap=True, weights_only=False)
        dist.barrier()
    return loaded


def _count(environment: Mapping[str, str]) -> int:
    gpus = torch.cuda.device_count()
    text = environment.get(VARIABLE)
    if text is None:
        return max(1, gpus)
    if not text.isdecimal() or int(text) < 1:
        raise InvalidTrialError(f"{VARIABLE} is {text!r}: give a whole number of at least 1")
    if gpus and int(text) > gpus:
        raise InvalidTrialError(f"{VARIABLE} is {text}, but there are {gpus} GPUs: each process needs one")
    return int(text)


def _join(store: TCPStore, number: int, count: int) -> torch.device:
    device = torch.device("cuda", number) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # What is agreed on is never on a GPU, which would have to be waited for.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=_TIMEOUT)
    return device


class _Ranks:
    """The processes beside rank 0; use as a context manager."""

    def __init__(
        self,
        count: int,
        port: int,
        folder: Path,
        environment: Mapping[str, str],
        abort: Callable[[TrialError], None],
    ) -> None:
        self._folder = folder
        self._abort = abort
        self._ended = Event()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(1, count):
            variables = {
                "RANK": str(number),
                "LOCAL_RANK": str(number),
                "WORLD_SIZE": str(count),
                "MASTER_ADDR": _ADDRESS,
                "MASTER_PORT": str(port),
                RANK_LOG: str(self._log(number)),
            }
            self._processes[number] = subprocess.Popen(
                [sys.executable, "-m", "kubenas_trial"], env={**environment, **variables}
            )

    def __enter__(self) -> _Ranks:
        Thread(target=self._watch, name="ranks", daemon=True).start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            if error is None or (isinstance(error, Exception) and not isinstance(error, TrialError)):
                # The others have ended too, or one of them is why this one could not go on.
                failure = self._wait()
                if failure is not None:
                    raise failure from error
        finally:
            self._ended.set()
            self._stop()

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            failure = self._failure()
            # Mostly this process fails at once, as the connection is lost; but it may wait inside a library.
            if failure is not None and not self._ended.wait(_GRACE_SECONDS):
                self._stop()
                self._abort(failure)

    def _wait(self) -> TrialError | None:
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline:
            failure = self._failure()
            if failure is not None or all(process.poll() == 0 for process in self._processes.values()):
                return failure
            time.sleep(0.05)
        return None

    def _failure(self) -> TrialError | None:
        """Of the first rank that has failed."""
        for number, process in self._processes.items():
            code = process.poll()
            if code in {None, 0}:
                continue
            who = f"process {number} of {len(self._processes) + 1}"
            said = read_error(self._log(number))
            if said is not None:
                return TrialError(said[0], f"{who}: {said[1]}")
            how = f"was ended by {signal.Signals(-code).name}" if code and code < 0 else f"exited with {code}"
            return TrialError("RankFailed", f"{who} {how}")
        return None

    def _stop(self) -> None:
        # SIGKILL, as they hold no state, and may wait for this one inside a library.
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()

    def _log(self, number: int) -> Path:
        return self._folder / f"rank-{number}"
