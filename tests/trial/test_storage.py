"""Checkpoints in folders and buckets: whole or not there, the last two kept, the older one used for a damaged one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from kubenas_trial import exposition
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.exposition import Exposition
from kubenas_trial.storage import bucket, checkpoints
from kubenas_trial.storage.activity import ACTIVITY, Activity
from kubenas_trial.storage.checkpoints import CheckpointStore, place_at
from kubenas_trial.storage.place import StorageError
from kubenas_trial.storage.remove import remove
from tests.trial.s3 import BUCKET, S3, Wire, environment_of

At = Callable[[str], str]


@pytest.fixture(params=["folder", "bucket"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[At]:
    """Where a test's checkpoints are."""
    if request.param == "folder":
        yield lambda name: str(tmp_path / "checkpoints" / name)
        return
    server: S3 = request.getfixturevalue("s3")
    with environment_of(server.environment()):
        yield lambda name: f"s3://{BUCKET}/{tmp_path.name}/{name}"


def filled(text: str) -> Callable[[Path], None]:
    """Writes a file."""

    def fill(path: Path) -> None:
        path.write_text(text)

    return fill


def kept(store: CheckpointStore) -> list[str]:
    return sorted(store._place.names())


def test_the_last_two_are_kept_and_the_newest_is_read(at: At) -> None:
    store = CheckpointStore(at("0.safetensors"))
    assert store.load(Path.read_text) is None
    for text in ("first", "second", "third"):
        store.save(filled(text))
        # As another attempt finds it.
        assert CheckpointStore(at("0.safetensors")).load(Path.read_text) == text
    assert [name.split("-")[0] for name in kept(store)] == ["0.00000002", "0.00000003"]


def test_trainings_beside_each_other_have_their_own(at: At) -> None:
    store = CheckpointStore(at("0.safetensors"))
    others = [store.beside("search"), CheckpointStore(at("00.safetensors")), CheckpointStore(at("0.pt"))]
    for index, one in enumerate([store, *others]):
        for _ in range(3):
            one.save(filled(str(index)))
    assert [one.load(Path.read_text) for one in (store, *others)] == ["0", "1", "2", "3"]
    assert len(kept(store)) == 8


def damage(store: CheckpointStore, name: str) -> None:
    """Change one character, behind the store's back."""
    where, _, _ = store.at.rpartition("/")
    if "://" in where:
        import obstore
        from obstore.store import from_url

        there = from_url(where, client_options={"allow_http": True})
        whole = bytes(obstore.get(there, name).bytes())
        obstore.put(there, name, b"?" + whole[1:])
    else:
        path = Path(where, name)
        path.write_bytes(b"?" + path.read_bytes()[1:])


def test_the_older_one_is_used_where_the_last_is_damaged(at: At, caplog: pytest.LogCaptureFixture) -> None:
    store = CheckpointStore(at("0.safetensors"))
    store.save(filled("first"))
    store.save(filled("second"))
    first, second = kept(store)
    damage(store, second)
    assert store.load(Path.read_text) == "first"
    assert f"{second} is damaged" in caplog.text
    # What is written then is newer than the damaged one.
    store.save(filled("third"))
    assert store.load(Path.read_text) == "third"
    for name in kept(store):
        damage(store, name)
    with pytest.raises(InvalidTrialError, match=r"is damaged: delete it to start over"):
        store.load(Path.read_text)
    assert first not in kept(store)


def test_a_write_that_fails_leaves_what_was_there(at: At) -> None:
    store = CheckpointStore(at("0.safetensors"))
    store.save(filled("first"))

    def torn(path: Path) -> None:
        path.write_text("half")
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        store.save(torn)
    assert len(kept(store)) == 1
    assert store.load(Path.read_text) == "first"


def test_a_reader_finds_one_whole_however_often_others_are_written(at: At) -> None:
    store, reader = CheckpointStore(at("0.safetensors")), CheckpointStore(at("0.safetensors"))
    store.save(filled("0" * 1000))
    done = threading.Event()

    def write() -> None:
        for number in range(1, 31):
            store.save(filled(str(number % 10) * 1000))
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set[str]()
    while not done.is_set():
        text = reader.load(Path.read_text)
        assert text is not None
        assert len(text) == 1000
        seen |= set(text)
    thread.join()
    assert seen


def test_of_trials_the_ones_that_are_named_are_removed(at: At) -> None:
    root = at("0").rpartition("/")[0]
    for name in ("digits-0", "digits-1", "digits-2", "digits-10", "digits-1-1", "digits-01", "other-1"):
        CheckpointStore(f"{root}/{name}/0.safetensors").save(filled(name))
        CheckpointStore(f"{root}/{name}/models/0.onnx").save(filled(name))
    CheckpointStore(f"{root}/digits-1.safetensors").save(filled("a file"))
    assert remove(root, "digits", "0-1,10-12") == 3
    assert place_at(root).folders() == ["digits-01", "digits-1-1", "digits-2", "other-1"]
    assert remove(root, "digits", "0-1,10-12") == 0
    assert CheckpointStore(f"{root}/digits-2/0.safetensors").load(Path.read_text) == "digits-2"
    assert CheckpointStore(f"{root}/digits-1.safetensors").load(Path.read_text) == "a file"


def test_nothing_but_numbers_names_what_is_removed(at: At) -> None:
    root = at("0").rpartition("/")[0]
    CheckpointStore(f"{root}/digits-1/0.safetensors").save(filled("any"))
    for text in ("", "../1", "1,", "-1", "1-", "1-2-3", "*"):
        with pytest.raises(ValueError, match="is no range of numbers"):
            remove(root, "digits", text)
    assert place_at(root).folders() == ["digits-1"]


def test_a_link_is_not_followed_where_folders_are_removed(tmp_path: Path) -> None:
    """Another trial of the experiment may write any to the volume."""
    CheckpointStore(tmp_path / "else" / "0.safetensors").save(filled("kept"))
    root = tmp_path / "checkpoints"
    CheckpointStore(root / "digits-1" / "0.safetensors").save(filled("any"))
    (root / "digits-2").symlink_to(tmp_path / "else")
    (root / "digits-1" / "link").symlink_to(tmp_path / "else")
    assert remove(str(root), "digits", "1-2") == 1
    assert CheckpointStore(tmp_path / "else" / "0.safetensors").load(Path.read_text) == "kept"


def test_a_trial_tells_what_becomes_of_its_checkpoints(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Activity()
    monkeypatch.setattr(checkpoints, "ACTIVITY", told)
    assert not told.used
    store = CheckpointStore(at("0.safetensors"))
    assert store.load(Path.read_text) is None
    assert told.used
    assert told.checkpoints == {"written": 0, "failed": 0, "read": 0}
    store.save(filled("first"))
    store.save(filled("second"))
    store.load(Path.read_text)
    assert told.checkpoints == {"written": 2, "failed": 0, "read": 1}


def test_what_becomes_of_checkpoints_is_shown_and_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Activity()
    for module in (checkpoints, exposition):
        monkeypatch.setattr(module, "ACTIVITY", told)
    with Exposition(0) as shown:
        shown.update("0", 1, {"accuracy": 0.5})
        url, before = f"http://127.0.0.1:{shown.port}/metrics", shown.digest()
        assert "checkpoints" not in httpx.get(url).text
        CheckpointStore(tmp_path / "0.safetensors").save(filled("first"))
        told.unreachable = True
        lines = httpx.get(url, headers={"Accept": "text/plain; version=0.0.4"}).text.splitlines()
        assert shown.digest() == before
    assert 'kubenas_trial_checkpoints_total{outcome="written"} 1.0' in lines
    assert 'kubenas_trial_checkpoints_total{outcome="failed"} 0.0' in lines
    assert "kubenas_trial_storage_unreachable 1.0" in lines


WRITER = """
import sys
from pathlib import Path
from kubenas_trial.storage.checkpoints import CheckpointStore
store = CheckpointStore(sys.argv[1])
last = store.load(lambda path: int(path.read_bytes()[:8])) or 0
print(last, flush=True)
while True:
    last += 1
    store.save(lambda path: path.write_bytes(f"{last:08}".encode() * 100_000))
    print(last, flush=True)
"""


@pytest.mark.parametrize("seed", range(2))
def test_whoever_is_killed_while_it_writes_has_lost_one_at_most(at: At, seed: int) -> None:
    draw = random.Random(seed)
    written = 0
    for _ in range(4):
        command = [sys.executable, "-c", WRITER, at("0.safetensors")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            found = int(process.stdout.readline())
            # One that was whole, but not yet told, may be there too.
            assert written <= found <= written + 1
            written = found
            wanted = written + draw.randint(1, 5)
            while written < wanted:
                written = int(process.stdout.readline())
            threading.Event().wait(draw.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                written = int(line)
    store = CheckpointStore(at("0.safetensors"))
    store.save(filled("last"))
    assert len(kept(store)) == 2, "what a killed process has left is removed"


def check_refused(store: CheckpointStore, said: str) -> None:
    """Neither reads nor writes."""

    uses: list[Callable[[], object]] = [
        lambda: store.load(Path.read_text),
        lambda: store.save(filled("any")),
    ]
    for use in uses:
        with pytest.raises(StorageError, match=f"refused with {said}") as told:
            use()
        assert told.value.reason == "StorageRefused"
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(told.value)


def test_what_is_no_bucket_and_whom_it_refuses_is_one_clear_error(s3: S3) -> None:
    with environment_of(s3.environment()):
        check_refused(CheckpointStore("s3://absent/at/0.safetensors"), r"NoSuchBucket: check storage\.url")
    wrong = {"AWS_ACCESS_KEY_ID": "InvalidAccessKeyId", "AWS_SECRET_ACCESS_KEY": "SignatureDoesNotMatch"}
    for variable, said in wrong.items():
        with environment_of(s3.environment() | {variable: "AKIAOFANOTHER"}):
            check_refused(CheckpointStore(f"s3://{BUCKET}/refused/0.safetensors"), f"{said}.*storage.secret")


def test_a_bucket_that_cannot_be_reached_is_waited_for(
    s3: S3, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Wire(s3.port) as wire, environment_of(s3.environment(wire.port)):
        store = CheckpointStore(f"s3://{BUCKET}/{tmp_path.name}/0.safetensors")
        store.save(filled("first"))
        wire.cut()
        thread = threading.Thread(target=store.save, args=[filled("second")])
        thread.start()
        while wire.refused < 2:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        assert ACTIVITY.unreachable
        wire.mend()
        thread.join()
        assert not ACTIVITY.unreachable
        assert store.load(Path.read_text) == "second"
    assert "cannot be reached, tried again in 0.5 s" in caplog.text


def test_a_bucket_that_stays_away_is_an_error(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    monkeypatch.setattr(bucket, "PATIENCE", timedelta(0))
    told = Activity()
    monkeypatch.setattr(checkpoints, "ACTIVITY", told)
    with Wire(s3.port) as wire, environment_of(s3.environment(wire.port)):
        wire.cut()
        with pytest.raises(StorageError, match="could not be reached for") as error:
            CheckpointStore(f"s3://{BUCKET}/away/0.safetensors").save(filled("any"))
    assert error.value.reason == "StorageUnavailable"
    assert told.checkpoints["failed"] == 1


def test_a_folder_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"checkpoints in .*/file") as told:
        CheckpointStore(tmp_path / "file" / "0.safetensors").save(filled("any"))
    assert told.value.reason == "StorageUnavailable"


def test_a_full_disk_leaves_the_last_one_and_is_told(small_disk: Path) -> None:
    import torch

    from kubenas_trial import checkpoint

    store = CheckpointStore(small_disk / "0.safetensors")

    def save(size: int) -> None:
        store.save(lambda path: checkpoint.write(path, {"weights": torch.zeros(size)}, {"step": size}))

    save(100_000)
    with pytest.raises(StorageError, match="has no room left") as told:
        save(200_000)
    assert told.value.reason == "StorageFull"
    assert store.load(checkpoint.read) is not None
    assert len(list(small_disk.iterdir())) == 1
    save(10)
    assert len(list(small_disk.iterdir())) == 2
