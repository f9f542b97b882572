"""Where the files of a run lie: a folder of this machine, or a URL that fsspec opens (``s3://``, ``gs://``, ``memory://`` ...).

A file is there only when it is whole. In a folder it is written under another name, synced and renamed. An object store has no rename and
needs none: an object appears when all of it has arrived. On other remote file systems the file is moved into place, which is as safe as
the move of that system.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

from trueline.errors import InputError, MissingExtra, StorageError

TEMPORARY = ".tmp-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
#: Protocols under which a file appears all at once.
_WHOLE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"}
_EXTRAS = {"s3": "pip install 'trueline[s3]'", "s3a": "pip install 'trueline[s3]'"}


class Storage(Protocol):
    """Files by their names relative to the run, such as ``trace/000001.parquet``."""

    #: A folder of this machine for what cannot lie elsewhere: lock, journal of replies, caches of judgements.
    folder: Path

    def __str__(self) -> str:
        """As a user would write it."""
        ...

    def exists(self, name: str) -> bool:
        """True for a whole file."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names of the whole files in a folder of the run, sorted; none when it is not there."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """For reading."""
        ...

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        """Put what ``write`` writes to a path in the place of a file, whole or not at all. Raises ``StorageError``."""
        ...


def storage_of(path: str | os.PathLike[str]) -> Storage:
    """The storage at a path or URL. Raises ``InputError`` for a URL nobody can open, ``MissingExtra`` when a package is missing."""
    url = is_url(path)
    if not url:
        return Folder(Path(path))
    parts = urlsplit(os.fspath(path))
    if parts.scheme.lower() in ("file", "local"):
        return Folder(Path(unquote(parts.path)))
    return Remote(os.fspath(path))


def is_url(path: str | os.PathLike[str]) -> bool:
    """True for ``PROTOCOL://...``."""
    return isinstance(path, str) and _URL.match(path) is not None


class Folder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def exists(self, name: str) -> bool:
        return (self.folder / name).exists()

    def names(self, folder: str) -> list[str]:
        place = self.folder / folder
        return sorted(p.name for p in place.iterdir() if not p.name.startswith(".")) if place.is_dir() else []

    def open(self, name: str) -> IO[bytes]:
        return (self.folder / name).open("rb")

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        final = self.folder / name
        temporary = final.with_name(f"{TEMPORARY}{os.getpid()}-{final.name}")
        try:
            write(temporary)
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, final)
            _sync_folder(final.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _unwritten(str(final), error) from error


class Remote:
    """A folder at a URL. Options of the file system (keys, endpoints) come from its own environment variables and files."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        protocol = urlsplit(url).scheme.lower()
        try:
            # listings are never cached: other processes write there too
            found: tuple[Any, str] = fsspec.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            raise MissingExtra(f"{protocol}:// needs another package: {_EXTRAS.get(protocol, error)}") from error
        except ValueError as error:
            raise InputError(f"{self.url} cannot be opened: {error}") from error
        self._files, self._root = found
        self._whole = protocol in _WHOLE
        name = re.sub(r"[^A-Za-z0-9._]+", "-", self.url)[-60:].strip("-")
        digest = hashlib.blake2b(self.url.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = cache / "trueline" / "runs" / f"{name}-{digest}"

    def __str__(self) -> str:
        return self.url

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def exists(self, name: str) -> bool:
        return bool(self._try("look up", name, lambda at: self._files.isfile(at)))

    def names(self, folder: str) -> list[str]:
        def listed(at: str) -> list[str]:
            try:
                return [entry["name"].rstrip("/").rpartition("/")[2] for entry in self._files.ls(at, detail=True)]
            except FileNotFoundError:
                return []

        found: list[str] = self._try("list", folder, listed)
        return sorted(name for name in found if name and not name.startswith("."))

    def open(self, name: str) -> IO[bytes]:
        handle: IO[bytes] = self._try("read", name, lambda at: self._files.open(at, "rb"))
        return handle

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        temporary = self.folder / f"{TEMPORARY}{os.getpid()}-{name.replace('/', '-')}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write(temporary)
            self._try("write", name, lambda at: self._put(str(temporary), at))
        except OSError as error:
            raise _unwritten(str(temporary), error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _put(self, local: str, at: str) -> None:
        folder, _, name = at.rpartition("/")
        if self._whole:
            self._files.put_file(local, at)
            return
        self._files.makedirs(folder, exist_ok=True)
        self._files.put_file(local, f"{folder}/{TEMPORARY}{name}")
        self._files.mv(f"{folder}/{TEMPORARY}{name}", at)

    def _try(self, verb: str, name: str, act: Callable[[str], Any]) -> Any:
        try:
            return act(self._at(name))
        except Exception as error:  # each file system has its own; none of them shows a key
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise StorageError(f"cannot {verb} {self.url}/{name}: {said}; all that was finished before is kept") from error


def _unwritten(what: str, error: OSError) -> StorageError:
    if error.errno in _FULL or "No space left" in str(error):
        return StorageError(
            f"the disk is full: {what} was not written; all that was finished before is kept. "
            "Free some space and give the same command again to go on"
        )
    return StorageError(f"cannot write {what}: {error}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
