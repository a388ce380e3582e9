"""A prefix of a bucket: any that `obstore` knows, such as s3:// and gs://, with the credentials of the environment."""

from __future__ import annotations

import logging
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from kubenas_trial.storage.activity import ACTIVITY
from kubenas_trial.storage.place import StorageError, full

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")
_LOG = logging.getLogger("kubenas_trial")
# How long a bucket that cannot be reached is waited for.
PATIENCE: Final = timedelta(minutes=3)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
# Of one request, which carries this many bytes at most.
_TIMEOUT: Final = timedelta(seconds=60)
_PART: Final = 32 * 2**20
# Answers that no further try will change: no or wrong credentials, no such bucket.
_FINAL: Final = re.compile(r"status code: (?:400|401|403|404)\b")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")


class Bucket:
    """See `Place`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def names(self) -> list[str]:
        """The names of all files."""
        return sorted(self._sizes())

    def write(self, fill: Callable[[Path], None], name: Callable[[Path], str]) -> str:
        """Have `fill` write a file on this machine, and send it; an object is there once all of it is."""
        import obstore  # noqa: PLC0415 - only for buckets

        try:
            with tempfile.TemporaryDirectory(prefix="kubenas-") as folder:
                file = Path(folder, "checkpoint")
                fill(file)
                named = name(file)
                self._again(lambda: obstore.put(self._store, named, file, chunk_size=_PART))
                return named
        except OSError as error:
            raise full(tempfile.gettempdir(), error) or error from error

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """A copy on this machine, as long as it is read."""
        import obstore  # noqa: PLC0415

        size = self._sizes().get(name)
        if size is None:
            raise FileNotFoundError(f"{self._url}/{name}")
        with tempfile.TemporaryDirectory(prefix="kubenas-") as folder:
            file = Path(folder, "checkpoint")
            try:
                with file.open("wb") as written:
                    for start in range(0, size, _PART):
                        end = min(size, start + _PART)
                        part = self._again(
                            lambda start=start, end=end: obstore.get_range(self._store, name, start=start, end=end)  # type: ignore[misc]
                        )
                        written.write(part)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise full(tempfile.gettempdir(), error) or error from error
            yield file

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        import obstore  # noqa: PLC0415

        # Of S3 that is no error, of others it is.
        with suppress(FileNotFoundError):
            self._again(lambda: obstore.delete(self._store, name))

    def folders(self) -> list[str]:
        """The names of all folders beside the files."""
        import obstore  # noqa: PLC0415

        listed = self._again(lambda: obstore.list_with_delimiter(self._store))
        return sorted(listed["common_prefixes"])

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all that is in it, if it is there."""
        import obstore  # noqa: PLC0415

        listed = self._again(lambda: [one for some in obstore.list(self._store, f"{name}/") for one in some])
        for one in listed:
            self.remove(one["path"])

    def _sizes(self) -> dict[str, int]:
        """Bytes of each file by its name."""
        import obstore  # noqa: PLC0415

        listed = self._again(lambda: [one for some in obstore.list(self._store) for one in some])
        return {one["path"]: one["size"] for one in listed}

    @cached_property
    def _store(self) -> ObjectStore:
        from obstore.store import from_url  # noqa: PLC0415

        return from_url(
            self._url,
            # A bucket in one's own cluster may have no certificate.
            client_options={"allow_http": True, "connect_timeout": timedelta(seconds=10), "timeout": _TIMEOUT},
            # By `_again`, which says so.
            retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
        )

    def _again(self, request: Callable[[], T]) -> T:
        """The answer to `request`, made again with growing pauses while the bucket cannot be reached.

        Raises:
            FileNotFoundError: there is no such object.
            StorageError: it refuses, or could not be reached for `PATIENCE`.
        """
        with ACTIVITY.request():
            return self._tried(request)

    def _tried(self, request: Callable[[], T]) -> T:
        deadline, pause = time.monotonic() + PATIENCE.total_seconds(), _FIRST_PAUSE
        while True:
            try:
                return request()
            except Exception as error:
                # Beyond its beginning it is for developers of obstore.
                text = str(error).partition("\n\nDebug source")[0]
                code = _CODE.search(text)
                if _FINAL.search(text) and (code is None or code[1] != "RequestTimeout"):
                    if isinstance(error, FileNotFoundError) and (code is None or code[1] != "NoSuchBucket"):
                        raise
                    said = code[1] if code else text.rpartition("status code: ")[2][:60]
                    raise StorageError(
                        "StorageRefused",
                        f"{self._url}: refused with {said}: check storage.url, and the credentials in the Secret "
                        "storage.secret",
                    ) from None
                said = " ".join(text.split())[:300]
                if time.monotonic() + pause > deadline:
                    raise StorageError(
                        "StorageUnavailable", f"{self._url}: could not be reached for {PATIENCE}: {said}"
                    ) from None
                ACTIVITY.unreachable = True
                _LOG.warning("%s cannot be reached, tried again in %.1f s: %s", self._url, pause, said)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
