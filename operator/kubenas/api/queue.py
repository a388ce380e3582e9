"""Queues of Kueue that trials go through."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

# Kueue's, by which it knows a pod's LocalQueue and its WorkloadPriorityClass.
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL: Final = "kueue.x-k8s.io/priority-class"
QueueObjectName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
