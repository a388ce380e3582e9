"""A Kubernetes control plane without nodes: etcd, the API server and the controller manager, ready in seconds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.cluster import fake_pods, programs, system
from tests.cluster.fake_pods import accuracy
from tests.cluster.identities import Authority, encoded, write_kubeconfig
from tests.cluster.namespace import Namespace
from tests.cluster.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.cluster.fake_pods import Outcome

REPOSITORY = Path(__file__).parents[2]
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
"""
SERVICES = "100.65.0.0/16"
FIRST_SERVICE = "100.65.0.1"


class ControlPlane:
    """A real API on a free port of the loopback, with RBAC, garbage collection and the other controllers.

    A context manager; when it is left, or its process killed, nothing stays. Nothing schedules or runs pods: tests
    change their status themselves or leave that to `tests.cluster.fake_pods`.

    Attributes:
        folder: this run's files.
        logs: the folder with one log for each program.
        kubeconfig: credentials of a cluster administrator.
        server: the URL of the API.
        etcd: the URL of where the API keeps all objects.
        keep_logs: whether the logs outlive the run, as they do after an error.
        audit_log: one JSON object for each answered request (a watch: when it has ended), at level Metadata.
    """

    address = "127.0.0.1"
    own_network = False
    api_server_flags: Sequence[str] = ("--endpoint-reconciler-type=none",)  # no pod could reach a loopback

    def __init__(self, *, controller_manager_flags: Sequence[str] = ()) -> None:
        self._controller_manager_flags = controller_manager_flags
        self._resources = ExitStack()
        self._numbers = count(1)
        self.keep_logs = False

    def __enter__(self) -> Self:
        self._prepare()
        self._run = RunFolder()
        self.folder, self.logs = self._run.path, self._run.logs
        try:
            self._namespace = self._resources.enter_context(Namespace(self._run, own_network=self.own_network))
            self._start()
        except BaseException:
            self.keep_logs = True
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.keep_logs |= kind is not None
        self._close()

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl prints, as cluster administrator.

        Raises:
            subprocess.CalledProcessError: it failed and `check` is set; kubectl's message is in the error's notes.
        """
        return self.run("kubectl", *arguments, stdin=stdin, check=check)

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> str:
        """What a command prints that has kubectl and the administrator's credentials at hand."""
        done = subprocess.run(
            self.entering(command), check=False, env=self.environment, input=stdin, capture_output=True, text=True
        )
        if check and done.returncode != 0:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            error.add_note(done.stderr)
            raise error
        return done.stdout

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment to find kubectl and use the API as cluster administrator."""
        return {
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.folder / "kubectl"),
        }

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with `variables`."""
        return os.environ | self.variables

    def entering(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command where the API can be reached."""
        return self._namespace.entering(command) if self.own_network else list(command)

    def identity(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig file for a user in some groups, by client certificate."""
        certificate, key = self._authority.client(user, groups)
        credentials = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
        return write_kubeconfig(certificate.with_suffix(".conf"), self.server, self._authority.certificate, credentials)

    def service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig file for an existing service account, by a token good for a day."""
        token = self.kubectl("create", "token", name, f"--namespace={namespace}", "--duration=24h").strip()
        path = self.folder / f"service-account-{namespace}-{name}.conf"
        return write_kubeconfig(path, self.server, self._authority.certificate, {"token": token})

    def wait_for_service_account(self, namespace: str) -> None:
        """Wait until pods can be made in a namespace: its default service account is there."""
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        self._namespace.until(
            f"namespace {namespace} has a service account", lambda: self._succeeds("kubectl", "get", f"--raw={account}")
        )

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a process that ends with the cluster at the latest; its output goes to ``logs/NAME.log``."""
        self._namespace.start(name, command, self.environment)

    def stop(self, name: str) -> None:
        """Kill a process that `start` started."""
        self._namespace.stop(name)

    @contextmanager
    def fake_pods(
        self, outcome: Outcome = accuracy, seconds: float | None = None, *, on_nodes: bool = False
    ) -> Iterator[None]:
        """Let a process of its own drive the pods of trials to their end.

        Args:
            outcome: from a trial to how its pod ends; a function at the top of a module.
            seconds: how long each pod runs, in place of what the outcome says.
            on_nodes: only pods that a scheduler has given a node, as `tests.cluster.karpenter_nodes` has one.
        """
        name = f"fake-pods-{next(self._numbers)}"
        command = ["env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", fake_pods.__name__]
        command += [f"--kubeconfig={self.kubeconfig}", f"--outcome={outcome.__module__}:{outcome.__qualname__}"]
        if seconds is not None:
            command.append(f"--seconds={seconds}")
        if on_nodes:
            command.append("--on-nodes")
        self.start(name, command)
        try:
            yield
        finally:
            self.stop(name)

    def _prepare(self) -> None:
        """Make what outlives the run."""
        system.require_root()
        self._programs = programs.kubernetes()

    def _start(self) -> None:
        self._authority = Authority(self.folder / "identities")
        port = self._port(6443)
        self.server = f"https://{self.address}:{port}"
        self.audit_log = self.logs / "audit.jsonl"
        self.kubeconfig = self.identity("admin", ["system:masters"])
        self.etcd = f"http://127.0.0.1:{self._port(2379)}"
        self.start(
            "etcd",
            [
                "etcd",
                f"--data-dir={self.folder}/etcd",
                "--unsafe-no-fsync",
                "--socket-reuse-port",
                f"--listen-client-urls={self.etcd}",
                f"--advertise-client-urls={self.etcd}",
                "--listen-peer-urls=http://127.0.0.1:0",
                "--log-level=warn",
            ],
        )
        audit_policy = self.folder / "audit-policy.yaml"
        audit_policy.write_text(AUDIT_POLICY)
        certificate, key = self._authority.server(
            "kube-apiserver", [f"IP:{self.address}", f"IP:{FIRST_SERVICE}", "DNS:kubernetes.default.svc"]
        )
        kubelet_certificate, kubelet_key = self._authority.client("apiserver", ["system:masters"])
        self.start(
            "kube-apiserver",
            [
                "env",
                "GOGC=400",  # memory is plenty, and the two cores are for what is tested
                "kube-apiserver",
                f"--etcd-servers={self.etcd}",
                f"--bind-address={self.address}",
                f"--secure-port={port}",
                "--permit-port-sharing",
                f"--tls-cert-file={certificate}",
                f"--tls-private-key-file={key}",
                f"--client-ca-file={self._authority.certificate}",
                "--authorization-mode=Node,RBAC",
                "--allow-privileged",  # as every installer sets it
                f"--service-cluster-ip-range={SERVICES}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self._authority.token_key}",
                f"--service-account-signing-key-file={self._authority.token_key}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--kubelet-client-certificate={kubelet_certificate}",
                f"--kubelet-client-key={kubelet_key}",
                f"--audit-policy-file={audit_policy}",
                f"--audit-log-path={self.audit_log}",
                *self.api_server_flags,
            ],
        )
        self.start(
            "kube-controller-manager",
            [
                "kube-controller-manager",
                f"--kubeconfig={self.identity('controllers', ['system:masters'])}",
                f"--service-account-private-key-file={self._authority.token_key}",
                f"--root-ca-file={self._authority.certificate}",
                "--leader-elect=false",
                "--secure-port=0",
                # its limits of old would make garbage collection slower than what the tests measure
                "--kube-api-qps=1000",
                "--kube-api-burst=1000",
                "--horizontal-pod-autoscaler-sync-period=1s",
                *self._controller_manager_flags,
            ],
        )
        self.wait_for_service_account("default")

    def _port(self, usual: int) -> int:
        """A port for a server of this run: on the machine's network a free one, and nobody else's until the end."""
        if self.own_network:
            return usual
        # bound but not listened on, and shared with the server that will be
        reservation = self._resources.enter_context(socket.socket())
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind((self.address, 0))
        port: int = reservation.getsockname()[1]
        return port

    def _succeeds(self, *command: str) -> bool:
        quiet = subprocess.DEVNULL
        done = subprocess.run(
            self.entering(command), check=False, env=self.environment, stdin=quiet, stdout=quiet, stderr=quiet
        )
        return done.returncode == 0

    def _close(self) -> None:
        self._resources.close()
        if self.keep_logs:
            print(f"The cluster's logs: {self._run.keep_logs()}", file=sys.stderr)
        self._run.remove()
