"""An operator in a namespace of its own, and what is asked of both."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.operator import fork
from tests.operator.api import Api, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.cluster.control_plane import ControlPlane

PROGRAM = Path(sys.executable).with_name("kubenas")
LEASE = "kubenas-operator"
WRITES = frozenset({"create", "update", "patch", "delete"})


def experiment(name: str = "nas", **spec: Any) -> Object:
    """A small experiment whose pods nobody schedules, so that tests or `fake_pods` play the node."""
    return {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASExperiment",
        "metadata": {"name": name},
        "spec": {
            "objectives": [{"metric": "accuracy"}],
            "task": {"name": "image-classification"},
            "searchSpace": {"preset": "nasbench201"},
            "search": {"algorithm": "regularized-evolution", "seed": 1},
            "evaluation": {"epochs": 3},
            "metrics": {"source": "Pod", "interval": "1s"},
            "trialTemplate": {"spec": {"schedulerName": "nobody"}},
            **spec,
        },
    }


class Operator:
    """A process ``kubenas operator``.

    Args:
        fresh: start an interpreter of its own, as a user does, in place of a fork of one that is ready.
    """

    def __init__(self, arguments: Iterable[str], log: Path, *, fresh: bool = False) -> None:
        self._arguments = ["operator", *arguments]
        self.log_file = log
        self._fresh = fresh
        self._since = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._fork: Any = None

    def start(self) -> Self:
        """Start it, or start it again."""
        self.log_file.touch()
        self._since = self.log_file.stat().st_size
        if self._fresh:
            # ends with the tests, however they end
            command = ["setpriv", "--pdeathsig=KILL", "--", str(PROGRAM), *self._arguments]
            with self.log_file.open("ab") as log:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        else:
            self._fork = fork.start(self._arguments, self.log_file)
        return self

    def wait_ready(self) -> Self:
        """Wait until it leads and has listed everything."""
        self.wait_said("ready")
        return self

    def wait_said(self, message: str) -> None:
        """Wait until it has logged a message since its start."""
        until(lambda: any(line["message"] == message for line in self.logged()) or not self.running)
        assert self.running, f"the operator ended with {self.wait()}:\n{self.output()}"

    @property
    def pid(self) -> int:
        process = self._process or self._fork
        assert process is not None
        pid: int = process.pid
        return pid

    @property
    def running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._fork is not None and self._fork.exitcode is None

    def wait(self) -> int:
        """Its exit code, once it has ended; minus a signal's number where that ended it."""
        if self._process is not None:
            return self._process.wait(timeout=120)
        self._fork.join(timeout=120)
        code = self._fork.exitcode
        assert code is not None, "the operator does not end"
        return int(code)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, wherever it is."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> int:
        """Ask it to end; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def output(self) -> str:
        """What it has written since its start."""
        return self.log_file.read_bytes()[self._since :].decode(errors="replace")

    def logged(self) -> list[Object]:
        """Its log's lines since its start."""
        lines = []
        for line in self.output().splitlines():
            with suppress(ValueError):  # half a line, or no log at all
                if isinstance(entry := json.loads(line), dict):
                    lines.append(entry)
        return lines

    def faults(self) -> list[Object]:
        """Log lines of all its lives that tell of a bug; kopf calls errors what it tries again."""
        found = []
        for line in self.log_file.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if entry["logger"].startswith("kubenas") and (entry["level"] == "error" or "exception" in entry):
                    found.append(entry)
        return found


class Workspace:
    """A namespace of the control plane, with operators that serve it alone.

    Attributes:
        api: the namespace, for an administrator.
        user: whom the apiserver takes operators for, unless they are given other credentials.
    """

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.control_plane, self.namespace = control_plane, namespace
        self.api = Api(control_plane.kubeconfig, namespace)
        self.user = f"operator-of-{namespace}"
        self.kubeconfig = control_plane.identity(self.user, ["system:masters"])
        self._operators: list[Operator] = []
        self._numbers = count(1)
        self._audit_since = control_plane.audit_log.stat().st_size

    def operator(
        self, *flags: str, kubeconfig: Path | None = None, everywhere: bool = False, fresh: bool = False
    ) -> Operator:
        """An operator of this namespace, or of all with its lease in this one, not started yet."""
        arguments = [
            f"--kubeconfig={kubeconfig or self.kubeconfig}",
            *([] if everywhere else [f"--namespace={self.namespace}"]),
            f"--lease-namespace={self.namespace}",
            "--host=127.0.0.1",
            "--port=0",
            "--log-format=json",
            *flags,
        ]
        log = self.control_plane.logs / f"operator-{self.namespace}-{next(self._numbers)}.log"
        operator = Operator(arguments, log, fresh=fresh)
        self._operators.append(operator)
        return operator

    def take_lease_away(self) -> None:
        """Spare the next operator the wait for the end of a killed one's lease."""
        self.api.delete("leases", LEASE)

    def apply(self, document: Object) -> str:
        """Create an experiment; its name."""
        self.api.create("nasexperiments", document)
        name: str = document["metadata"]["name"]
        return name

    def experiment(self, name: str = "nas") -> Object:
        found = self.api.get("nasexperiments", name)
        assert found is not None, f"there is no experiment {name}"
        return found

    def status(self, name: str = "nas") -> Object:
        status: Object = self.experiment(name).get("status", {})
        return status

    def condition(self, kind: str, name: str = "nas") -> Object:
        """A condition of an experiment, without a status as long as it is not there."""
        found: list[Object] = [c for c in self.status(name).get("conditions", []) if c["type"] == kind]
        return found[0] if found else {"status": None, "reason": None, "message": None}

    def wait_condition(self, kind: str, name: str = "nas", status: str = "True") -> Object:
        """Wait until a condition has a status."""
        until(lambda: self.condition(kind, name)["status"] == status)
        return self.condition(kind, name)

    def wait_gone(self, name: str = "nas") -> None:
        """Wait until an experiment and all that it owns are gone."""
        until(lambda: self.api.get("nasexperiments", name) is None)
        until(lambda: not self.trials(name) and not self.pods(name))

    def trials(self, name: str = "nas") -> list[Object]:
        """Trials in order of their numbers."""
        found = self.api.list("nastrials", f"kubenas.io/experiment={name}")
        return sorted(found, key=lambda trial: int(trial["spec"]["number"]))

    def trial(self, name: str) -> Object:
        """A trial, once it is there."""
        until(lambda: self.api.get("nastrials", name) is not None)
        found = self.api.get("nastrials", name)
        assert found is not None
        return found

    def wait_trial(self, name: str, condition: Callable[[Object], bool]) -> Object:
        """Wait until a trial's status is as wanted; the status."""
        until(lambda: condition(self.trial(name).get("status", {})))
        status: Object = self.trial(name)["status"]
        return status

    def pods(self, name: str = "nas") -> list[Object]:
        """Pods of an experiment, by name."""
        return self.api.list("pods", f"kubenas.io/experiment={name}")

    def wait_pod(self, name: str) -> Object:
        """A pod, once it is there."""
        until(lambda: self.api.get("pods", name) is not None)
        found = self.api.get("pods", name)
        assert found is not None
        return found

    def set_pod(self, name: str, status: Object) -> None:
        """Play the node: change a pod's status, once it is there."""
        self.wait_pod(name)
        self.api.patch("pods", name, {"status": status}, "status")

    def events(self, name: str = "nas") -> list[Object]:
        """Kubernetes events about an experiment."""
        return [e for e in self.api.list("events") if e["involvedObject"]["name"] == name]

    def requests(self, *users: str) -> list[Object]:
        """The audit log's entries by this workspace's operators, or by other users, in order of their answers."""
        with self.control_plane.audit_log.open("rb") as log:
            log.seek(self._audit_since)
            # At once: a line read by halves, while it is being written, would come as two.
            lines = log.read().splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [entry for entry in entries if entry["user"]["username"] in (users or (self.user,))]

    def writes(self, *users: str) -> list[Object]:
        """The operators' writes but for those of the Lease."""
        return [
            entry
            for entry in self.requests(*users)
            if entry["verb"] in WRITES and entry["objectRef"]["resource"] != "leases"
        ]

    def created(self, kind: str) -> list[str]:
        """Names of all objects that operators have created."""
        return [
            entry["objectRef"]["name"]
            for entry in self.writes()
            if entry["verb"] == "create"
            and entry["objectRef"]["resource"] == kind
            and "dryRun=" not in entry["requestURI"]
            and entry["responseStatus"]["code"] == 201
        ]

    def close(self) -> None:
        """End what still runs, and delete the namespace. A bug that an operator has logged fails the test."""
        faults = []
        for operator in self._operators:
            if operator.running:
                operator.kill()
            if operator.log_file.exists():
                print(f"--- {operator.log_file.name}\n{operator.log_file.read_text(errors='replace')[-8000:]}")
                faults += operator.faults()
        self.api.delete_namespace()
        self.api.close()
        assert not faults, faults


def install_resources(control_plane: ControlPlane) -> None:
    """Install the project's resources."""
    control_plane.kubectl("apply", "--server-side", "--kustomize", str(REPOSITORY / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


@contextmanager
def temporary_workspace(control_plane: ControlPlane, namespace: str | None = None) -> Iterator[Workspace]:
    """A workspace whose namespace is made for it, under a name of its own where none is given."""
    workspace = Workspace(control_plane, namespace or f"test-{secrets.token_hex(4)}")
    workspace.api.create_namespace()
    try:
        yield workspace
    finally:
        workspace.close()
