"""Of several processes that train one trial, the first reports: a trainer of one's own, as launchers start it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kubenas_trial.contract import Trial
from tests.trial.process import PATIENCE_SECONDS, message, trial_environment

# Rank 1 fails once the results are written, as a process does that finds its peer gone.
TRAINER = """
import os, sys, time
from pathlib import Path
import torch.distributed as dist
from kubenas_trial.contract import Trial

def train():
    with Trial.from_environment() as trial:
        if not dist.is_initialized():
            dist.init_process_group("gloo")
        trial.report(trial.candidates[0], 1, accuracy=0.5 + dist.get_rank())
        if dist.get_rank() == 1:
            written = Path(os.environ["KUBENAS_TERMINATION_LOG"])
            while not (written.exists() and written.read_bytes().endswith(b"}")):
                time.sleep(0.02)
            raise ConnectionError("the peer is gone")

def spawned(number, store):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=number, world_size=2)
    train()

if __name__ == "__main__":
    if len(sys.argv) == 1:
        train()
    else:
        import torch.multiprocessing
        torch.multiprocessing.spawn(spawned, (sys.argv[1],), nprocs=2)
"""


@pytest.mark.parametrize("launcher", ["torchrun", "spawn"])
def test_rank_0_alone_serves_metrics_and_writes_the_result(tmp_path: Path, launcher: str) -> None:
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    command = {
        "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)],
        "spawn": [sys.executable, str(script), str(tmp_path / "store")],
    }[launcher]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = os.environ | trial_environment(tmp_path, KUBENAS_METRICS_PORT=str(port)) | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, env=environment, stderr=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=False, text=True
    )
    assert ended.returncode == 1, ended.stderr
    assert "the peer is gone" in ended.stderr
    assert message(tmp_path) == {"results": [{"candidate": "0", "step": 1, "metrics": {"accuracy": 0.5}}]}


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK"])
def test_a_rank_above_0_opens_no_port_and_leaves_no_message(tmp_path: Path, variable: str) -> None:
    with socket.create_server(("", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = trial_environment(tmp_path, KUBENAS_METRICS_PORT=port) | {variable: "1"}
        with Trial.from_environment(environment) as trial:
            trial.report(trial.candidates[0], 1, accuracy=0.5)
        with pytest.raises(SystemExit), Trial.from_environment(environment):
            raise ValueError("no such file")
    assert not (tmp_path / "termination-log").exists()


def test_the_process_of_rank_0_reports(tmp_path: Path) -> None:
    with Trial.from_environment(trial_environment(tmp_path, RANK="0", LOCAL_RANK="0")) as trial:
        trial.report(trial.candidates[0], 1, accuracy=0.5)
    assert message(tmp_path)["results"]
