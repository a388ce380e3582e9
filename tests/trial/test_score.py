"""`kubenas-trial score`: a file of architectures in, a file of scores out."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kubenas_trial.cli.main import app
from tests.trial.process import PATIENCE_SECONDS

CONV = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
SMALL = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
TINY = "--set batchSize=4 --set network.channels=4 --set network.cellsPerStack=1 --set imageSize=8"


def written(folder: Path, *texts: str, column: str = "arch") -> Path:
    path = folder / "architectures.csv"
    path.write_text("\n".join(["number," + column, *(f"{number},{text}" for number, text in enumerate(texts))]) + "\n")
    return path


def ran(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["score", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def scored(folder: Path, file: Path, options: str) -> list[dict[str, str]]:
    out = folder / "scores.csv"
    code, _, errors = ran("--architectures", str(file), "--out", str(out), *options.split())
    assert code == 0, errors
    with out.open() as lines:
        return list(csv.DictReader(lines))


def test_each_proxy_is_a_column_by_the_name_that_it_was_asked_for_by(tmp_path: Path) -> None:
    file = written(tmp_path, CONV, SMALL, DEAD)
    rows = scored(tmp_path, file, f"--space nasbench201 --proxies default,jacob-cov,az-nas,nwot {TINY}")
    assert list(rows[0]) == ["arch", "default", "jacob-cov", "az-nas", "nwot"]
    assert [row["arch"] for row in rows] == [CONV, SMALL, DEAD]
    # Sums of logarithms of ranks of three: the network without a path is last in all columns but the FLOPs of a pool.
    assert float(rows[2]["default"]) < min(float(row["default"]) for row in rows[:2]) <= 0
    # It has no score where the logarithm of 0 were one.
    assert rows[2]["nwot"] == ""
    assert all(rows[number]["nwot"] for number in (0, 1))


def test_scores_follow_from_seed_and_architecture_alone(tmp_path: Path) -> None:
    options = f"--space nasbench201 --proxies snip,zen,vkdnw {TINY}"
    first = scored(tmp_path, written(tmp_path, CONV, SMALL), options)
    again = scored(tmp_path, written(tmp_path, SMALL, CONV), options)
    assert again == first[::-1]
    assert scored(tmp_path, written(tmp_path, CONV, SMALL), f"{options} --seed 1") != first


def test_without_more_it_is_cifar10s_network(tmp_path: Path) -> None:
    [row] = scored(tmp_path, written(tmp_path, DEAD), "--space nasbench201 --proxies params,flops --input noise")
    # As published.
    assert float(row["params"]) == 73306
    assert float(row["flops"]) == pytest.approx(7.78e6, rel=0.03)


def test_data_and_other_tasks_are_scored_too(tmp_path: Path) -> None:
    file = written(tmp_path, CONV)
    options = f"--space nasbench201 --proxies snip {TINY}"
    [noise], [data] = scored(tmp_path, file, options), scored(tmp_path, file, f"{options} --input digits")
    assert noise["snip"] != data["snip"]
    layers = "depth=1 width=32 activation=relu normalization=none skip=none dropout=0.1"
    [row] = scored(tmp_path, written(tmp_path, layers), "--space mlp --proxies params,snip --input digits")
    assert float(row["params"]) > 0


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ("--space nasbench201 --proxies oracle", 64, "--proxies: 'oracle' is unknown to this trainer; choose"),
        ("--space nasbench201 --proxies ,", 64, "--proxies: name one at least, such as default"),
        ("--space nasbench202", 64, "--space"),
        ("--space nasbench201 --input nowhere", 64, "--input: nowhere is no file or folder"),
        ("--space nasbench201 --task oracle", 64, "--task: 'oracle' is unknown"),
        (
            "--space nasbench201 --task language-model",
            64,
            "this trainer has no network of nasbench201 for language-model",
        ),
        ("--space nasbench201 --set batchSize=0", 64, "--set batchSize: "),
        ("--space bert-encoder --proxies params", 65, "line 2: architecture: "),
        ("--space nasbench201 --out .", 64, "--out: . is a folder"),
        ("--space nasbench201 --out nowhere/scores.csv", 64, "--out: the folder "),
        ("--space nasbench201 --architectures nowhere.csv", 65, "nowhere.csv: cannot be read: No such file"),
    ],
)
def test_each_mistake_is_one_clear_error(tmp_path: Path, options: str, code: int, says: str) -> None:
    given = ["--architectures", str(written(tmp_path, CONV)), "--out", str(tmp_path / "out.csv")]
    found, _, errors = ran(*given, *options.split())
    assert (found, len(errors.splitlines())) == (code, 1), errors
    assert says in errors
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("number,cell\n0,x\n", "there is no column 'arch'; the columns are number, cell"),
        ("number,arch\n", "has no architectures below its header"),
        (f"number,arch\n0,{CONV}\n1,conv\n", "line 3: architecture: 'conv' is no cell"),
    ],
)
def test_a_wrong_file_of_architectures_is_told_by_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "architectures.csv"
    file.write_text(text)
    code, _, errors = ran("--space", "nasbench201", "--architectures", str(file), "--out", str(tmp_path / "out.csv"))
    assert code == 65
    assert says in errors


def test_a_proxy_that_fits_no_network_fails(tmp_path: Path) -> None:
    file = written(tmp_path, "depth=1 width=32 activation=relu normalization=none skip=none dropout=0.1")
    out = str(tmp_path / "out.csv")
    code, _, errors = ran("--space", "mlp", "--architectures", str(file), "--proxies", "zen", "--out", out)
    assert code == 64
    assert "--proxies: zen looks at what is pooled" in errors.splitlines()[-1]


def test_the_file_of_architectures_is_not_written_over(tmp_path: Path) -> None:
    file = written(tmp_path, CONV)
    before = file.read_text()
    given = ("--architectures", str(file), "--out", str(file), "--proxies", "params", *TINY.split())
    code, _, errors = ran("--space", "nasbench201", *given)
    assert (code, file.read_text()) == (64, before)
    assert "has the architectures: name another file" in errors


def _heeds_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_what_was_scored_before_an_interruption_is_kept(tmp_path: Path) -> None:
    file, out = written(tmp_path, *[CONV] * 100_000), tmp_path / "scores.csv"
    command = [
        sys.executable,
        "-m",
        "kubenas_trial.cli.main",
        "score",
        "--space",
        "nasbench201",
        "--proxies",
        "l2_norm",
    ]
    command += ["--architectures", str(file), "--out", str(out), *TINY.split()]
    # Shells let what they start in the background ignore it.
    process = subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=_heeds_interrupts)  # noqa: PLW1509
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not out.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode != 0
    with out.open() as lines:
        rows = list(csv.DictReader(lines))
    assert 0 < len(rows) < 100_000
    assert {row["arch"] for row in rows} == {CONV}
    assert len({row["l2_norm"] for row in rows}) == 1
