"""`kubenas operator`: run the operator, in a cluster or outside with a kubeconfig."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TRIAL_IMAGE = "ghcr.io/kubenas/kubenas-trial:latest"


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


def operator(
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", envvar="KUBENAS_NAMESPACE", help="Serve only this namespace; all if absent."),
    ] = None,
    kubeconfig: Annotated[
        str | None,
        typer.Option(help="Kubeconfig file; in a cluster the pod's service account, else kubectl's, if absent."),
    ] = None,
    lease_namespace: Annotated[
        str | None,
        typer.Option(
            envvar="KUBENAS_LEASE_NAMESPACE", help="Namespace of the leader's Lease; the pod's own if absent."
        ),
    ] = None,
    prometheus_url: Annotated[
        str | None,
        typer.Option(
            envvar="KUBENAS_PROMETHEUS_URL", help="Prometheus, for example http://prometheus.monitoring:9090."
        ),
    ] = None,
    trial_image: Annotated[
        str,
        typer.Option(envvar="KUBENAS_TRIAL_IMAGE", help="Image of trials whose template names none."),
    ] = _TRIAL_IMAGE,
    gpu_resource: Annotated[
        str,
        typer.Option(envvar="KUBENAS_GPU_RESOURCE", help="Resource of which a trial gets one by default."),
    ] = "nvidia.com/gpu",
    host: Annotated[str, typer.Option(envvar="KUBENAS_HOST", help="Address of /healthz and /metrics.")] = "0.0.0.0",  # noqa: S104
    port: Annotated[int, typer.Option(envvar="KUBENAS_PORT", help="Port of /healthz and /metrics.")] = 8080,
    resync_seconds: Annotated[
        float, typer.Option(envvar="KUBENAS_RESYNC_SECONDS", min=1, help="Time between two complete lists.")
    ] = 300.0,
    log_format: Annotated[
        LogFormat, typer.Option(envvar="KUBENAS_LOG_FORMAT", help="Log lines for people or for programs.")
    ] = LogFormat.TEXT,
    log_level: Annotated[
        LogLevel, typer.Option(envvar="KUBENAS_LOG_LEVEL", help="How much is logged.")
    ] = LogLevel.INFO,
) -> None:
    """Run the operator: it serves NASExperiments until SIGTERM."""
    from kubenas.cluster.client import ApiError
    from kubenas.cluster.operator import OperatorSettings, run
    from kubenas.cluster.pods import PodDefaults

    _set_up_logging(log_format, log_level)
    settings = OperatorSettings(
        namespace=namespace,
        kubeconfig=kubeconfig,
        lease_namespace=lease_namespace or _own_namespace() or namespace or "default",
        prometheus_url=prometheus_url,
        pods=PodDefaults(image=trial_image, gpu_resource=gpu_resource),
        host=host,
        port=port,
        resync_seconds=resync_seconds,
    )
    try:
        code = asyncio.run(run(settings))
    except ApiError as error:
        logging.getLogger("kubenas").error("%s", error.args[0])  # noqa: TRY400 - a mistake, not a bug
        code = 1
    except OSError as error:
        logging.getLogger("kubenas").error("cannot serve on %s:%s: %s; choose another --port", host, port, error)  # noqa: TRY400
        code = 1
    except Exception:  # for the log, in the log's format
        logging.getLogger("kubenas").exception("the operator ends by a mistake of its own")
        code = 1
    raise typer.Exit(code)


def _own_namespace() -> str | None:
    return _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else None


def _set_up_logging(log_format: LogFormat, level: LogLevel) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if log_format is LogFormat.JSON:
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "kopf", "kubernetes"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
