"""Files that are whole or not there: hashes, atomic writes, archives unpacked with care."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder for what can be computed again, such as features and checkpoints, made on first use.

    It is ``TRANSFER_CACHE`` where that is set, else ``data/cache`` in a checkout
    of the course, else the user's cache folder.

    Raises:
        PermissionError: it cannot be made or written, with what to do.
    """
    return writable(_folder("TRANSFER_CACHE", "cache"))


def download_folder() -> Path:
    """Return the folder for what was fetched: ``TRANSFER_DOWNLOADS``, ``data/downloads``, or the user's cache.

    It may be one that can only be read, when everything that is needed lies there.
    """
    return _folder("TRANSFER_DOWNLOADS", "downloads")


def checkout() -> Path | None:
    """Return the folder of the course: the nearest above this file that holds ``notebooks`` and ``data/README.md``.

    ``None`` where only the helper package is installed, as on Colab.
    """
    above = Path(__file__).resolve().parents
    return next((p for p in above if (p / "notebooks").is_dir() and (p / "data" / "README.md").is_file()), None)


def _folder(variable: str, name: str) -> Path:
    if os.environ.get(variable):
        return Path(os.environ[variable]).expanduser()
    if root := checkout():
        return root / "data" / name
    import pooch

    return pooch.os_cache("transfer_utils") / name


def writable(folder: Path) -> Path:
    """Make ``folder`` and return it, or raise ``PermissionError`` with what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise PermissionError(
            f"The folder {folder} cannot be written ({error.strerror}). Free some space, change "
            "its permissions, or set TRANSFER_CACHE (TRANSFER_DOWNLOADS) to one that can be written."
        ) from error


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` on a temporary neighbour of ``path``, then move it into place.

    Whoever reads ``path`` sees the old file or the new one, never a part of one,
    even when the process is killed half-way or the disk is full.

    Raises:
        PermissionError: the folder cannot be written.
        DiskFull: with the device, and what to do.
    """
    path = Path(path)
    _remove_leftovers(writable(path.parent))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{_owner()}.", suffix=".part")
    os.close(handle)
    try:
        write(Path(name))
        with open(name, "rb+") as written:
            os.fsync(written.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        full = _is_full(error, path.parent)
        Path(name).unlink(missing_ok=True)
        if full:
            raise DiskFull(path) from error
        raise


@contextmanager
def scratch_folder(folder: Path, purpose: str) -> Iterator[Path]:
    """Give a block an empty folder inside ``folder``, deleted at its end, or later when the process was killed."""
    _remove_leftovers(writable(folder))
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{purpose}.{_owner()}.", suffix=".part") as name:
        yield Path(name)


class DiskFull(OSError):
    """A file could not be written: its disk is full, or a quota used up. What was there before is whole."""

    def __init__(self, path: Path):
        super().__init__(
            errno.ENOSPC,
            f"no space left on {_device(path.parent)}: {path} was not written, and what was there before is whole. "
            "Free some space there, or choose a folder on another disk (TRANSFER_CACHE, TRANSFER_DOWNLOADS, the path "
            "of the checkpoint)",
        )

    def __str__(self) -> str:
        return f"{self.strerror}."


def _is_full(error: BaseException, folder: Path) -> bool:
    """Return whether a full disk or quota is behind ``error``; PyTorch and safetensors say it in words of their own."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    if not isinstance(error, Exception):
        return False
    text = str(error)
    return "No space left" in text or "quota exceeded" in text or shutil.disk_usage(folder).free < 1 << 16


def _device(folder: Path) -> str:
    """Return the device and the mount point that ``folder`` lies on."""
    import psutil

    mounts = [disk for disk in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(disk.mountpoint)]
    nearest = max(mounts, key=lambda disk: len(disk.mountpoint), default=None)
    return f"{nearest.device} ({nearest.mountpoint})" if nearest else f"the disk of {folder}"


def _owner() -> str:
    """Return a name for this process: while it runs, its unfinished files are its own."""
    return f"{platform.node()}-{os.getpid()}"


def _remove_leftovers(folder: Path) -> None:
    """Delete unfinished files and folders of processes of this machine that were killed while they wrote."""
    for part in folder.glob(f".*.{platform.node()}-*.part"):
        process = re.search(r"-(\d+)\.[^.]+\.part$", part.name)
        if process and _started_later(int(process[1]), part):
            shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)


def _started_later(process: int, part: Path) -> bool:
    """Return whether ``process`` ended, or began after ``part`` was written: in a container the same numbers return."""
    import psutil

    try:
        return psutil.Process(process).create_time() > part.stat().st_mtime + 60  # clocks of file servers differ
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, FileNotFoundError):  # it belongs to another user; another process was quicker
        return False


def sha256(paths: Path | Iterable[Path]) -> str:
    """Return the SHA-256 of a file, or of several files one after the other."""
    digest = hashlib.sha256()
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


class WrongHash(OSError):
    """A file is not the one that the course was written with."""


def check_hash(paths: Path | list[Path], expected: str, what: str, advice: str) -> None:
    """Raise :class:`WrongHash` when ``paths`` do not have the SHA-256 ``expected``."""
    found = sha256(paths)
    if found != expected:
        shown = paths if isinstance(paths, (str, Path)) else Path(paths[0]).parent
        raise WrongHash(
            f"{what} is not the expected file: {shown} has SHA-256 {found}, "
            f"expected {expected}. Nothing was loaded. {advice}"
        )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into ``folder``, which appears only when it is complete.

    Raises:
        ValueError: a member is a link, a device, or would land outside ``folder``;
            or the file is not an archive or is damaged. Nothing is left behind.
    """
    folder = Path(folder)
    with scratch_folder(folder.parent, "unpacking") as scratch:
        target = scratch / "content"
        target.mkdir()
        try:
            if zipfile.is_zipfile(archive):
                _unpack_zip(archive, target)
            elif tarfile.is_tarfile(archive):
                _unpack_tar(archive, target)
            else:
                raise ValueError(f"{archive} is neither a zip nor a tar archive. Delete it and fetch again.")
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
            raise ValueError(f"{archive} is damaged ({error}). Delete it and fetch again.") from error
        os.replace(target, folder)


def _unpack_zip(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            _inside(target, member.filename, archive)
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                raise ValueError(f"{archive} holds a link ({member.filename}): refused.")
        opened.extractall(target)


def _unpack_tar(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as opened:
        for member in opened.getmembers():
            _inside(target, member.name, archive)
            if not (member.isfile() or member.isdir()):
                raise ValueError(f"{archive} holds a link or device ({member.name}): refused.")
        # Python 3.11.0 to 3.11.3 have no filters; what they would refuse was refused above.
        opened.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))


def _inside(folder: Path, name: str, archive: Path) -> None:
    """Raise ``ValueError`` unless the member ``name`` stays inside ``folder``."""
    unix_name = name.replace("\\", "/")
    escapes = ".." in unix_name.split("/") or unix_name.startswith("/") or ":" in unix_name.split("/")[0]
    if escapes or not (folder / unix_name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{archive} holds {name!r}, which would be written outside {folder}: refused.")
