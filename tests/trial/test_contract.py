"""The trial's contract, with real processes, scrapes and signals."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from kubenas.experiment.contract import STOP_TOKEN_VARIABLE
from kubenas.experiment.message import Told, read_message
from kubenas.experiment.state import Fault
from kubenas.metrics.exposition import parse_exposition
from kubenas.space.base import InvalidArchitectureError
from kubenas.space.packing import pack
from kubenas_trial.contract import InvalidTrialError, NonFiniteMetricError, Trial, TrialError
from kubenas_trial.exposition import Exposition
from tests.experiment.builders import candidate
from tests.trial.process import (
    CELL,
    PATIENCE_SECONDS,
    STEPPED_TRAINER,
    TrialProcess,
    error_of,
    message,
    read_exposition,
    trial_document,
    trial_environment,
)

TWO_CANDIDATES = trial_document(
    candidates=[{"id": str(i), "architecture": CELL, "epochs": 3, "resumeFrom": None} for i in range(2)]
)


MANY = 30
MANY_CANDIDATES = trial_document(
    evaluation={"method": "zero-cost"}, candidates={"packed": pack({str(i): CELL for i in range(MANY)})}
)


def test_results_of_a_batch_are_shown_and_the_message_tells_their_digest(tmp_path: Path) -> None:
    with stepped(trial_environment(tmp_path, MANY_CANDIDATES, KUBENAS_SCRAPE_LIMIT="600")) as trial:
        for number in range(MANY - 1):
            trial.report(number, 1, accuracy=number / MANY, test_accuracy=0.5, epoch=1)
        trial.end_training()
        trial.wait_for(lambda: (tmp_path / "termination-log").exists() and bool(message(tmp_path)))
        assert trial.running, "it is up until what it shows was read"
        read = parse_exposition(httpx.get(trial.url(), headers={"Accept": "text/plain; version=0.0.4"}).text, MANY)
        assert trial.exit_code() == 0
    assert read.curves == {str(n): {1: {"accuracy": n / MANY}} for n in range(MANY - 1)}
    assert read.exposed.failures == {str(MANY - 1): "TrainerError"}
    text = (tmp_path / "termination-log").read_text()
    assert len(text) < 4096
    report = read_message(text, 0, [candidate(n) for n in range(MANY)], ["accuracy"])
    said = {"TrainerError": f"the trainer ended without a report of candidate {MANY - 1}"}
    assert report.told == Told(MANY - 1, read.exposed.digest, said)


def test_a_batch_s_candidate_has_no_more_metrics_than_there_is_room_for(tmp_path: Path) -> None:
    document = MANY_CANDIDATES | {"candidates": {"packed": pack({str(i): CELL for i in range(1024)})}}
    names = [f"metric_{number}" for number in range(15)]

    def checks(trial: Trial) -> None:
        trial.check_room([*names[:14], "test_accuracy"])
        with pytest.raises(TrialError, match="15 metrics are reported, and a result of 1024 candidates has at most 14"):
            trial.check_room(names)
        trial.report(trial.candidates[0], 1, **dict.fromkeys(names, 1.0))

    with pytest.raises(SystemExit), Trial.from_environment(trial_environment(tmp_path, document)) as trial:
        checks(trial)
    assert error_of(tmp_path)[0] == "ResultsTooLarge"


@pytest.mark.parametrize("packed", [{}, {"packed": 3}, {"packed": "x"}])
def test_what_is_not_packed_is_invalid(tmp_path: Path, packed: Any) -> None:
    environment = trial_environment(tmp_path, MANY_CANDIDATES | {"candidates": packed})
    with pytest.raises(SystemExit), Trial.from_environment(environment):
        pass
    reason, text = error_of(tmp_path)
    assert reason == "InvalidTrial"
    assert "candidates" in text


def stepped(environment: dict[str, str]) -> TrialProcess:
    return TrialProcess(environment, ("-c", STEPPED_TRAINER))


def test_reports_are_scraped_and_the_last_ones_are_the_results(tmp_path: Path) -> None:
    with stepped(trial_environment(tmp_path, TWO_CANDIDATES)) as trial:
        trial.report(0, 1, accuracy=0.25, loss=2.5)
        trial.report(0, 2, accuracy=0.5, loss=1.5)
        trial.report(1, 100, accuracy=0.75, test_accuracy=0.7, epoch=1)
        assert trial.scrape() == (
            {("0", "accuracy"): 0.5, ("0", "loss"): 1.5, ("1", "accuracy"): 0.75, ("1", "epoch"): 1},
            {"0": 2, "1": 100},
        ), "test_accuracy must not be shown to a search"
        trial.end_training()
        assert trial.exit_code() == 0
    assert message(tmp_path) == {
        "results": [
            {"candidate": "0", "step": 2, "metrics": {"accuracy": 0.5, "loss": 1.5}},
            {"candidate": "1", "step": 100, "metrics": {"accuracy": 0.75, "test_accuracy": 0.7}},
        ]
    }


def test_stays_up_until_the_final_values_are_scraped(tmp_path: Path) -> None:
    with stepped(trial_environment(tmp_path, KUBENAS_SCRAPE_LIMIT="600")) as trial:
        trial.report(0, 3, accuracy=0.5)
        trial.scrape()
        trial.end_training()
        trial.wait_for(lambda: (tmp_path / "termination-log").exists() and bool(message(tmp_path)))
        assert httpx.get(trial.url("/")).status_code == 404, "only /metrics counts as a scrape"
        assert trial.running
        assert trial.scrape() == ({("0", "accuracy"): 0.5}, {"0": 3})
        assert trial.exit_code() == 0


def test_sigterm_while_training_exits_143_without_a_message(tmp_path: Path) -> None:
    with stepped(trial_environment(tmp_path)) as trial:
        trial.report(0, 1, accuracy=0.5)
        trial.send(signal.SIGTERM)
        assert trial.exit_code() == 143
    assert not (tmp_path / "termination-log").exists()


def test_sigterm_while_waiting_for_the_scrape_exits_0_with_the_results(tmp_path: Path) -> None:
    with stepped(trial_environment(tmp_path, KUBENAS_SCRAPE_LIMIT="600")) as trial:
        trial.report(0, 1, accuracy=0.5)
        trial.end_training()
        trial.wait_for(lambda: (tmp_path / "termination-log").exists() and bool(message(tmp_path)))
        trial.send(signal.SIGTERM)
        assert trial.exit_code() == 0
    assert message(tmp_path)["results"][0]["metrics"] == {"accuracy": 0.5}


def test_a_scrape_never_pairs_a_value_with_another_step() -> None:
    ended = Event()

    def count(exposition: Exposition) -> None:
        step = 0
        while not ended.is_set():
            step += 1
            exposition.update("0", step, {"accuracy": step})

    with Exposition(port=0) as exposition, httpx.Client(base_url=f"http://127.0.0.1:{exposition.port}") as client:
        exposition.update("0", 0, {"accuracy": 0})
        reports = Thread(target=count, args=[exposition])
        reports.start()
        try:
            seen = [read_exposition(client.get("/metrics", timeout=PATIENCE_SECONDS).text) for _ in range(100)]
        finally:
            ended.set()
            reports.join()
    assert all(values["0", "accuracy"] == steps["0"] for values, steps in seen)
    assert len({steps["0"] for _, steps in seen}) > 1, "the reports must go on while they are scraped"


def test_a_broken_scrape_is_no_scrape(tmp_path: Path) -> None:
    with stepped(trial_environment(tmp_path, KUBENAS_SCRAPE_LIMIT="600")) as trial:
        trial.report(0, 1, accuracy=0.5)
        trial.end_training()
        trial.wait_for(lambda: (tmp_path / "termination-log").exists() and bool(message(tmp_path)))
        with socket.create_connection(("127.0.0.1", httpx.URL(trial.url()).port or 0)) as connection:
            connection.sendall(b"GET /metr")
        assert trial.scrape()[1] == {"0": 1}
        assert trial.exit_code() == 0


def test_reports_of_one_step_are_joined(tmp_path: Path) -> None:
    with stepped(trial_environment(tmp_path)) as trial:
        trial.report(0, 1, accuracy=0.25, loss=2.5)
        trial.report(0, 2, accuracy=0.5, epoch=2)
        trial.report(0, 2, loss=1.5, test_loss=1.75)
        trial.report(0, 2, accuracy=0.625)
        trial.wait_for(lambda: trial.scrape()[0]["0", "accuracy"] == 0.625)
        assert trial.scrape() == ({("0", "accuracy"): 0.625, ("0", "loss"): 1.5, ("0", "epoch"): 2}, {"0": 2})
        trial.end_training()
        assert trial.exit_code() == 0
    metrics = {"accuracy": 0.625, "loss": 1.5, "test_loss": 1.75}
    assert message(tmp_path) == {"results": [{"candidate": "0", "step": 2, "metrics": metrics}]}


def report_and_exit(trial: Trial, *code: int | str) -> None:
    trial.report(trial.candidates[0], 3, accuracy=0.5)
    sys.exit(*code)


@pytest.mark.parametrize("arguments", [(), (0,)])
def test_exit_0_inside_keeps_the_results(tmp_path: Path, arguments: tuple[int, ...]) -> None:
    with pytest.raises(SystemExit) as ended, Trial.from_environment(trial_environment(tmp_path)) as trial:
        report_and_exit(trial, *arguments)
    assert ended.value.code in {None, 0}
    assert message(tmp_path)["results"] == [{"candidate": "0", "step": 3, "metrics": {"accuracy": 0.5}}]


def test_exit_0_without_a_report_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended, Trial.from_environment(trial_environment(tmp_path)):
        sys.exit(0)
    assert ended.value.code == 1
    assert error_of(tmp_path) == ("TrainerError", "the trainer ended without a report of candidate 0")


@pytest.mark.parametrize("code", [3, "no such file"])
def test_another_exit_inside_stays_what_it_is(tmp_path: Path, code: int | str) -> None:
    with pytest.raises(SystemExit) as ended, Trial.from_environment(trial_environment(tmp_path)) as trial:
        report_and_exit(trial, code)
    assert ended.value.code == code
    assert not (tmp_path / "termination-log").exists()


def report_step(step: Any) -> Callable[[Trial], None]:
    return lambda trial: trial.report(trial.candidates[0], step, accuracy=1)


@pytest.mark.parametrize("step", [np.int64(7), np.uint8(7), torch.tensor(7), np.array(7)])
def test_a_step_may_be_any_kind_of_whole_number(tmp_path: Path, step: Any) -> None:
    with Trial.from_environment(trial_environment(tmp_path)) as trial:
        report_step(step)(trial)
    assert message(tmp_path)["results"][0]["step"] == 7


def test_what_is_found_is_part_of_the_result(tmp_path: Path) -> None:
    open_document = trial_document()
    open_document["candidates"] = [{"id": "0", "architecture": None, "epochs": 2, "resumeFrom": None}]
    found = dict(trial_document()["candidates"][0]["architecture"])
    with Trial.from_environment(trial_environment(tmp_path, open_document)) as trial:
        [candidate] = trial.candidates
        trial.found(candidate, found | {"0-1": "none"})
        trial.report(candidate, 1, accuracy=0.5)
        with pytest.raises(InvalidArchitectureError, match="0-1"):
            trial.found(candidate, found | {"0-1": "no operation"})
        trial.found(candidate, found)
        trial.report(candidate, 2, accuracy=0.75)
    result = {"candidate": "0", "step": 2, "metrics": {"accuracy": 0.75}, "architecture": found}
    assert message(tmp_path)["results"] == [result]


def test_architectures_of_all_candidates_that_would_not_fit_are_refused_at_the_first_report(tmp_path: Path) -> None:
    document = trial_document(searchSpace={"preset": "darts"})
    document["candidates"] = [{"id": str(number), "architecture": None, "epochs": 2} for number in range(16)]

    def search() -> None:
        with Trial.from_environment(trial_environment(tmp_path, document)) as trial:
            trial.found(trial.candidates[0], trial.space.sample(Random(0)))
            trial.report(trial.candidates[0], 1, accuracy=0.5)

    with pytest.raises(SystemExit):
        search()
    assert error_of(tmp_path)[0] == "ResultsTooLarge"


def test_nothing_is_found_where_an_architecture_was_given(tmp_path: Path) -> None:
    with Trial.from_environment(trial_environment(tmp_path)) as trial:
        with pytest.raises(ValueError, match="candidate 0: its architecture was given"):
            trial.found(trial.candidates[0], dict(trial.candidates[0].architecture))
        trial.report(trial.candidates[0], 1, accuracy=0.5)


def report_names(*names: str) -> Callable[[Trial], None]:
    return lambda trial: trial.report(trial.candidates[0], 1, **dict.fromkeys(names, 0.5))


def report_twice(trial: Trial) -> None:
    for part in range(2):
        report_names(*(f"m{part}_{number}" for number in range(33)))(trial)


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (report_step(2.5), r"candidate 0, step 2\.5: the step is 2\.5: give a whole number"),
        (report_step("3"), "candidate 0, step 3: the step is '3': give a whole number"),
        (report_step(torch.tensor([1, 2])), "the step is tensor"),
        (report_step(-1), "candidate 0, step -1: give a step from 0"),
        (report_step(2**53), "give a step from 0 to 9007199254740991"),
        (report_names("val/loss"), "metric 'val/loss': use up to 63 letters, digits and _"),
        (report_names(*(f"m{n}" for n in range(65))), "candidate 0, step 1: 65 metrics are reported, .* at most 64"),
        (report_twice, "candidate 0, step 1: 66 metrics are reported, .* at most 64"),
        (
            lambda trial: trial.report(trial.candidates[0], 1, loss=[1.0]),
            "candidate 0, step 1: loss is no number",
        ),
        (
            lambda trial: trial.report(trial.candidates[0], 1, loss=torch.zeros(2)),
            "candidate 0, step 1: loss is no number",
        ),
        (
            lambda trial: trial.report(replace(trial.candidates[0], id="1"), 1, loss=1),
            "candidate 1, step 1: this trial has no such candidate",
        ),
    ],
)
def test_what_no_result_can_have_is_refused_as_it_is_reported(
    tmp_path: Path, report: Callable[[Trial], None], text: str
) -> None:
    with Trial.from_environment(trial_environment(tmp_path)) as trial:
        with pytest.raises((TypeError, ValueError, TrialError), match=text):
            report(trial)
        trial.report(trial.candidates[0], 2, epoch=2, **{f"m{number}": 0.5 for number in range(64)})
    assert len(message(tmp_path)["results"][0]["metrics"]) == 64


def test_results_of_all_candidates_that_would_not_fit_are_refused_at_the_first_report(tmp_path: Path) -> None:
    candidates = [{"id": str(number), "architecture": CELL, "epochs": 3} for number in range(16)]
    metrics = {f"metric_{number}": number / 7 for number in range(40)}
    environment = trial_environment(tmp_path, trial_document(candidates=candidates))
    with pytest.raises(SystemExit) as ended, Trial.from_environment(environment) as trial:
        trial.report(trial.candidates[0], 1, **metrics)
    assert ended.value.code == 1
    reason, text = error_of(tmp_path)
    assert reason == "ResultsTooLarge"
    assert text.startswith("the results of 16 candidates, 40 metrics each, take up to ")


def three_candidates(folder: Path) -> dict[str, str]:
    candidates = [{"id": str(number), "architecture": CELL, "epochs": 3} for number in range(3)]
    return trial_environment(folder, trial_document(candidates=candidates))


def test_a_candidate_that_fails_leaves_the_others_their_results(tmp_path: Path) -> None:
    with Trial.from_environment(three_candidates(tmp_path)) as trial:
        trial.report(trial.candidates[0], 1, accuracy=0.25)
        trial.fail(trial.candidates[0], MemoryError("no room " * 1000))
        trial.report(trial.candidates[1], 1, accuracy=0.5)
    first, second, third = message(tmp_path)["results"]
    assert (first["candidate"], first["error"]["reason"]) == ("0", "OutOfMemory")
    assert first["error"]["message"].startswith("MemoryError: no room no room")
    assert second == {"candidate": "1", "step": 1, "metrics": {"accuracy": 0.5}}
    text = "the trainer ended without a report of candidate 2"
    assert third == {"candidate": "2", "error": {"reason": "TrainerError", "message": text}}
    report = read_message((tmp_path / "termination-log").read_text(), 0, [candidate(n) for n in range(3)], ["accuracy"])
    assert [one.candidate for one in report.results] == ["1"]
    assert [(one.candidate, one.reason) for one in report.failed] == [("0", "OutOfMemory"), ("2", "TrainerError")]


def test_a_trial_fails_where_all_candidates_do_and_says_what_each_failed_of(tmp_path: Path) -> None:
    def fail_all(trial: Trial) -> None:
        for number, each in enumerate(trial.candidates):
            trial.fail(each, InvalidTrialError(f"no network {number}"))

    with pytest.raises(SystemExit) as ended, Trial.from_environment(three_candidates(tmp_path)) as trial:
        fail_all(trial)
    assert ended.value.code == 64
    candidates = [candidate(number) for number in range(3)]
    report = read_message((tmp_path / "termination-log").read_text(), 64, candidates, ["accuracy"])
    assert report.fault == Fault("InvalidTrial", "candidate 0: no network 0")
    assert [(one.candidate, one.reason, one.message) for one in report.failed] == [
        (str(number), "InvalidTrial", f"no network {number}") for number in range(3)
    ]


def test_a_trial_of_one_candidate_fails_by_its_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended, Trial.from_environment(trial_environment(tmp_path)) as trial:
        trial.fail(trial.candidates[0], InvalidTrialError("no network"))
    assert ended.value.code == 64
    assert error_of(tmp_path) == ("InvalidTrial", "no network")


def test_a_failure_of_another_trial_s_candidate_is_refused(tmp_path: Path) -> None:
    with Trial.from_environment(three_candidates(tmp_path)) as trial:
        for each in trial.candidates:
            trial.report(each, 1, accuracy=0.5)
        with pytest.raises(ValueError, match="candidate 7: this trial has no such candidate"):
            trial.fail(replace(trial.candidates[0], id="7"), ValueError())
    assert all("metrics" in result for result in message(tmp_path)["results"])


def raised(error: BaseException) -> Callable[[Trial], None]:
    def body(_trial: Trial) -> None:
        raise error

    return body


def report_nan(trial: Trial) -> None:
    trial.report(trial.candidates[0], 2, accuracy=0.5, loss=float("nan"))


@pytest.mark.parametrize(
    ("body", "reason", "text"),
    [
        (raised(ValueError("no such file")), "TrainerError", "ValueError: no such file"),
        (raised(TrialError("DataMissing", "mount it")), "DataMissing", "mount it"),
        (raised(MemoryError()), "OutOfMemory", "MemoryError: MemoryError"),
        (raised(torch.cuda.OutOfMemoryError("2 GiB")), "OutOfMemory", "OutOfMemoryError: 2 GiB"),
        (report_nan, "NonFiniteMetric", "candidate 0, step 2: loss is nan"),
        (lambda _: None, "TrainerError", "the trainer ended without a report of candidate 0"),
        (
            lambda trial: trial.report(trial.candidates[0], 1, **{"top-1": 1.0}),
            "TrainerError",
            "ValueError: metric 'top-1': use up to 63 letters, digits and _, not beginning with a digit",
        ),
        (
            lambda trial: trial.report(trial.candidates[0], 1),
            "TrainerError",
            "ValueError: candidate 0, step 1: no metric is reported",
        ),
        (
            lambda trial: trial.report(trial.candidates[0], 1, **{f"metric_{i:04}": i / 7 for i in range(200)}),
            "ResultsTooLarge",
            "candidate 0, step 1: 200 metrics are reported, and a result has at most 64",
        ),
    ],
)
def test_each_failure_ends_with_its_reason(
    tmp_path: Path, body: Callable[[Trial], None], reason: str, text: str
) -> None:
    with pytest.raises(SystemExit) as ended, Trial.from_environment(trial_environment(tmp_path)) as trial:
        body(trial)
    assert ended.value.code == 1
    found_reason, found_text = error_of(tmp_path)
    assert (found_reason, found_text[: len(text)]) == (reason, text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"searchSpace": {"preset": "unknown"}}, "KUBENAS_TRIAL.searchSpace.preset: "),
        ({"seed": "one"}, "KUBENAS_TRIAL.seed: "),
        ({"candidates": []}, "KUBENAS_TRIAL.candidates: "),
        (
            {"candidates": [{"id": "../0", "architecture": CELL, "epochs": 1}]},
            "KUBENAS_TRIAL.candidates.0.id: ",
        ),
        (
            {"candidates": [{"id": "0", "architecture": CELL, "epochs": 0}]},
            "KUBENAS_TRIAL.candidates.0.epochs: ",
        ),
        (
            {"candidates": [{"id": "0", "architecture": CELL | {"0-1": "conv_9x9"}, "epochs": 1}]},
            "candidate 0: 0-1: 'conv_9x9' is not one of none, skip_connect",
        ),
        (
            {"candidates": [{"id": "0", "architecture": {}, "epochs": 1}]},
            "candidate 0: 0-1 is missing",
        ),
    ],
)
def test_a_wrong_document_is_invalid_and_names_the_field(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    environment = trial_environment(tmp_path, trial_document(**changes))
    assert_invalid(tmp_path, environment, text)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"KUBENAS_TRIAL": "{"}, "KUBENAS_TRIAL is no JSON: "),
        ({"KUBENAS_TRIAL": "[]"}, "KUBENAS_TRIAL: "),
        ({"KUBENAS_SCRAPE_LIMIT": "soon"}, "KUBENAS_SCRAPE_LIMIT is 'soon': give a whole number"),
    ],
)
def test_a_wrong_environment_is_invalid_and_names_the_variable(
    tmp_path: Path, variables: dict[str, str], text: str
) -> None:
    assert_invalid(tmp_path, trial_environment(tmp_path) | variables, text)


def test_without_a_document_the_message_says_who_sets_it(tmp_path: Path) -> None:
    environment = trial_environment(tmp_path)
    del environment["KUBENAS_TRIAL"]
    assert_invalid(tmp_path, environment, "KUBENAS_TRIAL is not set")


def assert_invalid(folder: Path, environment: dict[str, str], text: str) -> None:
    with pytest.raises(SystemExit) as ended, Trial.from_environment(environment):
        pytest.fail("a wrong trial began")
    assert ended.value.code == 64
    reason, found = error_of(folder)
    assert (reason, found[: len(text)]) == ("InvalidTrial", text)


def test_fields_of_a_newer_operator_are_ignored(tmp_path: Path) -> None:
    environment = trial_environment(tmp_path, trial_document(priority="high"))
    with Trial.from_environment(environment) as trial:
        trial.report(trial.candidates[0], 1, accuracy=1)
    assert message(tmp_path)["results"]


def test_fields_of_a_newer_operator_are_ignored_at_any_depth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parameter = {"name": "width", "type": "int", "min": 1, "max": 8, "unit": "channels"}
    document = trial_document(
        task={"name": "image-classification", "dataset": {"name": "digits", "shard": 1}, "sampling": "even"},
        evaluation={"method": "train", "epochs": 3, "warmStart": True},
        searchSpace={"parameters": [parameter], "sharing": {"weights": True}},
        candidates=[{"id": "0", "architecture": {"width": 4}, "epochs": 1, "weight": 2}],
    )
    with Trial.from_environment(trial_environment(tmp_path, document)) as trial:
        trial.report(trial.candidates[0], 1, accuracy=1)
    assert message(tmp_path)["results"]
    told = {record.getMessage().split(":")[0] for record in caplog.records if record.levelname == "WARNING"}
    assert {name.rsplit(".", 1)[1] for name in told} == {
        "shard", "sampling", "warmStart", "unit", "sharing", "weight"
    }  # fmt: skip
    assert "KUBENAS_TRIAL.task.sampling" in told


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"searchSpace": {"presets": "nasbench201"}}, "KUBENAS_TRIAL.searchSpace"),
        (
            {"searchSpace": {"preset": "nasbench201", "sharing": 1}, "seed": "one"},
            "KUBENAS_TRIAL.seed: ",
        ),
    ],
)
def test_what_is_wrong_beside_a_newer_field_is_still_refused(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    assert_invalid(tmp_path, trial_environment(tmp_path, trial_document(**changes)), text)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        environment = trial_environment(tmp_path, KUBENAS_METRICS_PORT=str(port))
        with pytest.raises(SystemExit), Trial.from_environment(environment):
            pytest.fail("a trial without metrics began")
    reason, text = error_of(tmp_path)
    assert reason == "TrainerError"
    assert f"metrics port {port}: " in text


def test_report_takes_what_converts_to_float(tmp_path: Path) -> None:
    with Trial.from_environment(trial_environment(tmp_path)) as trial:
        trial.report(trial.candidates[0], 1, accuracy=torch.tensor(0.5))  # type: ignore[arg-type]
    assert message(tmp_path)["results"][0]["metrics"] == {"accuracy": 0.5}


def test_an_infinite_value_is_no_value(tmp_path: Path) -> None:
    with Trial.from_environment(trial_environment(tmp_path)) as trial:
        candidate = trial.candidates[0]
        trial.report(candidate, 1, accuracy=0.5)
        with pytest.raises(NonFiniteMetricError, match="accuracy is inf"):
            trial.report(candidate, 2, accuracy=float("inf"))
    assert message(tmp_path)["results"] == [{"candidate": "0", "step": 1, "metrics": {"accuracy": 0.5}}]


def test_sigterm_belongs_to_its_former_owner_afterwards(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Trial.from_environment(trial_environment(tmp_path)) as trial:
        trial.report(trial.candidates[0], 1, accuracy=1)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_trainer_of_ones_own_needs_no_torch(tmp_path: Path) -> None:
    trainer = "import sys, kubenas_trial.contract; print('torch' in sys.modules, file=sys.stderr)"
    with TrialProcess(trial_environment(tmp_path), ("-c", trainer)) as process:
        assert process.exit_code() == 0
    assert process.log.strip() == "False"


def test_the_document_is_read_as_the_contract_writes_it(tmp_path: Path) -> None:
    environment = trial_environment(tmp_path, KUBENAS_CHECKPOINT_DIR=str(tmp_path / "checkpoints"))
    with Trial.from_environment(environment) as trial:
        candidate = trial.candidates[0]
        assert (trial.seed, trial.document.attempt, candidate.id, candidate.epochs) == (1, 1, "0", 3)
        assert dict(candidate.architecture) == CELL
        checkpoints = trial.checkpoints(candidate)
        assert checkpoints
        assert checkpoints.at == str(tmp_path / "checkpoints" / "0.safetensors")
        assert trial.data_dir is None
        trial.report(candidate, 1, accuracy=1)


def test_values_at_rungs_are_shown_for_good(tmp_path: Path) -> None:
    """Of what is judged alone, by the first step with so many epochs, however many follow it."""
    rungs = {"epochs": [1, 3], "metrics": ["accuracy", "loss"]}
    with stepped(trial_environment(tmp_path, {**TWO_CANDIDATES, "rungs": rungs})) as trial:
        trial.report(0, 10, accuracy=0.25, loss=2.5, test_loss=1.0, other=3.0, epoch=1)
        trial.report(0, 10, accuracy=0.5)
        trial.report(0, 15, accuracy=0.625, epoch=1)
        trial.report(1, 3, accuracy=0.75)
        trial.report(0, 20, accuracy=0.875, epoch=2)
        trial.wait_for(lambda: trial.scrape()[1].get("0") == 20)
        text = httpx.get(trial.url("/metrics")).text
        trial.end_training()
        assert trial.exit_code() == 0
    assert parse_exposition(text, 2).curves == {
        "0": {10: {"accuracy": 0.5, "loss": 2.5, "epoch": 1.0}, 20: {"accuracy": 0.875, "epoch": 2.0}},
        "1": {3: {"accuracy": 0.75}},
    }


def test_who_knows_the_attempt_s_token_stops_candidates(tmp_path: Path) -> None:
    with Trial.from_environment(
        trial_environment(tmp_path, TWO_CANDIDATES, **{STOP_TOKEN_VARIABLE: "secret"}, KUBENAS_METRICS_PORT="0")
    ) as trial:
        first, second = trial.candidates
        exposition = trial._exposition
        assert exposition is not None
        url = f"http://127.0.0.1:{exposition.port}/stop"
        for form, code in (
            ({"candidates": "1"}, 403),
            ({"candidates": "1", "token": "secre"}, 403),
            ({"candidates": "1", "token": "sécret"}, 403),
            ({"candidates": "1" * 5000, "token": "secret"}, 404),
        ):
            assert httpx.post(url, data=form).status_code == code
        assert httpx.post(url.replace("/stop", "/metrics"), data={"token": "secret"}).status_code == 404
        assert not trial.should_stop(first)
        assert not trial.should_stop(second)
        assert httpx.post(url, data={"candidates": "1", "token": "secret"}).is_success
        assert trial.should_stop(second)
        assert not trial.should_stop(first)
        trial.report(first, 3, accuracy=0.5)
        trial.report(second, 1, accuracy=0.25)
    assert [result["step"] for result in message(tmp_path)["results"]] == [3, 1]


def test_without_a_token_nobody_stops_anything() -> None:
    with Exposition(0) as exposition:
        url = f"http://127.0.0.1:{exposition.port}/stop"
        assert httpx.post(url, data={"candidates": "0", "token": ""}).status_code == 403
        assert exposition.stopped == frozenset()
