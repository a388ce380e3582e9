"""Kubernetes events: what a person would want to read in `kubectl describe`."""

from __future__ import annotations

import logging
import secrets
import time

from kubenas.api.base import API_VERSION
from kubenas.api.experiment import NASExperiment
from kubenas.cluster.client import ApiError, Client
from kubenas.cluster.names import MANAGED_BY, events
from kubenas.experiment.actions import Announcement

_LOG = logging.getLogger(__name__)


async def announce(client: Client, experiment: NASExperiment, announcement: Announcement) -> None:
    """Make an event on the experiment. A refusal is logged: nothing depends on events."""
    metadata = experiment.metadata
    _LOG.info("%s/%s: %s: %s", metadata.namespace, metadata.name, announcement.reason, announcement.message)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata.name}.{secrets.token_hex(8)}",
            "namespace": metadata.namespace,
            "labels": MANAGED_BY,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "NASExperiment",
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
        },
        "type": announcement.kind,
        "reason": announcement.reason,
        "message": announcement.message,
        "source": {"component": "kubenas"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await client.create(events(metadata.namespace), event)
    except ApiError as error:
        _LOG.warning("cannot write an event: %s", error)
