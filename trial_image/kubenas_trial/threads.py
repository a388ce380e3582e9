"""How many threads a CPU limit is worth."""

from __future__ import annotations

import math
import os
from pathlib import Path


def cpu_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Whole CPUs that this process may use: its affinity, or less by the cgroup's quota (v2 or v1), at least 1."""
    cpus = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    for folder in (cgroup / "cpu", cgroup):
        try:
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            continue
        return None if quota in {"max", "-1"} else int(quota) / int(period)
    return None
