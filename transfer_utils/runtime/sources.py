"""Where weights and data come from: the manifest ``sources.toml`` and how its entries are reached.

A *package* source was installed with the course; its files are located without
importing the package, so none of its code runs. An *sdist* source is fetched with pip at
set-up, a *download* source with pooch on demand. The SHA-256 is checked before anything is read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock

from .files import WrongHash, check_hash, download_folder, scratch_folder, unpack, writable


class SourceMissing(FileNotFoundError):
    """Weights or data are not on this machine; the message says how to get them."""


@dataclass(frozen=True)
class Source:
    """One entry of ``sources.toml``: something the course uses and did not make."""

    name: str
    title: str
    kind: str
    licence: str
    attribution: str
    profiles: tuple[str, ...]
    size_mb: int
    package: str = ""
    module: str = ""
    files: tuple[str, ...] = ()
    url: str = ""
    sha256: str = ""
    revision: str = ""


@cache
def sources() -> dict[str, Source]:
    """Return every source by name, in the order of the manifest."""
    with open(Path(__file__).with_name("sources.toml"), "rb") as file:
        entries = tomllib.load(file)
    as_tuples = {
        name: {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
        for name, entry in entries.items()
    }
    return {name: Source(name=name, **entry) for name, entry in as_tuples.items()}


@cache
def package_files(name: str) -> list[Path]:
    """Return the files of a package source, their hash checked once a process.

    Raises:
        SourceMissing: the package is not installed, or without its files.
        WrongHash: the files are not the ones the course was written with.
    """
    source = sources()[name]
    advice = f"Install it again: pip install --force-reinstall --no-deps {source.package}"
    found = importlib.util.find_spec(source.module)
    folder = Path(found.submodule_search_locations[0]) if found else None
    paths = [p for pattern in source.files for p in sorted(folder.glob(pattern))] if folder else []
    if not paths:
        raise SourceMissing(f"{source.title} is not installed. {advice.replace(' --force-reinstall', '')}")
    check_hash(paths, source.sha256, source.title, advice)
    return paths


def is_installed(name: str) -> bool:
    """Return whether the package of a package source is here."""
    return importlib.util.find_spec(sources()[name].module) is not None


def install_package(name: str) -> None:
    """Install the package of a source with pip, without its dependencies, and check its files.

    Raises:
        SourceMissing: pip could not.
        WrongHash: its files are not the ones the course was written with.
    """
    source = sources()[name]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source.package]
    if subprocess.run(command).returncode:
        raise SourceMissing(f"{source.title} could not be installed (see above). Check the network and try again.")
    importlib.invalidate_caches()
    package_files(name)


def downloaded_folder(name: str, *, progress: bool = True) -> Path:
    """Return the folder of a download or sdist source, fetching and unpacking it where needed.

    Several processes may ask at the same time: one fetches, the others wait for it.

    Raises:
        SourceMissing: it cannot be fetched (no network, server away).
        WrongHash: what was fetched is not the expected file; it is deleted.
        ValueError: the archive would write outside its folder; nothing is unpacked.
    """
    source = sources()[name]
    folder = download_folder() / name
    if folder.is_dir():
        return folder
    with FileLock(writable(folder.parent) / f".{name}.lock"):
        if not folder.is_dir():  # else another process fetched it meanwhile
            with scratch_folder(folder.parent, "fetching") as scratch:
                fetch = _fetch_sdist if source.kind == "sdist" else _fetch
                unpack(fetch(source, scratch, progress), folder)
    return folder


def _fetch_sdist(source: Source, scratch: Path, progress: bool) -> Path:
    """Let pip, which knows this machine's package index, fetch a source distribution; it checks the hash first."""
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{source.package} --hash=sha256:{source.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
               "--require-hashes", "--requirement", str(wanted), "--dest", str(scratch)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if "do not match the hashes" in done.stderr.lower():
        raise WrongHash(
            f"The package index sent another {source.package} than the course was written with (expected "
            f"SHA-256 {source.sha256}). Nothing was kept. Try again; if it stays so, please open an issue."
        )
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines()]
        reason = next((line for line in reversed(said) if line.startswith("ERROR")), done.stderr)
        raise SourceMissing(
            f"{source.title} could not be fetched with pip ({reason.strip()}). Check the network, then: "
            "python -m transfer_utils fetch"
        )
    return next(scratch.glob("*.tar.gz"))


def _fetch(source: Source, scratch: Path, progress: bool) -> Path:
    """Download the archive of ``source`` into ``scratch`` and return its path; one put in place by hand is used."""
    import pooch
    import requests

    file_name = source.url.rsplit("/", 1)[-1]
    by_hand = download_folder() / file_name
    if by_hand.is_file():
        check_hash(by_hand, source.sha256, source.title, "Delete it and fetch again.")
        return by_hand
    try:
        fetched = pooch.retrieve(
            source.url,
            known_hash=f"sha256:{source.sha256}",
            fname=file_name,
            path=scratch,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=30),
        )
    except requests.exceptions.RequestException as error:
        raise SourceMissing(
            f"{source.title} could not be fetched from {source.url} ({type(error).__name__}). "
            f"Check the network, or put the file at {by_hand} by hand; its SHA-256 "
            f"must be {source.sha256}. The profiles tiny and laptop do not need it."
        ) from error
    except ValueError as error:  # pooch found another hash and deleted what it had fetched
        raise WrongHash(
            f"{source.url} sent another file than the course was written with (expected SHA-256 "
            f"{source.sha256}). It was deleted. Try again; if it stays so, please open an issue."
        ) from error
    return Path(fetched)


def as_table() -> str:
    """Return the manifest as a Markdown table, for ``data/README.md``."""
    lines = ["| what | how it comes | profiles | MB | licence |", "|---|---|---|---|---|"]
    for source in sources().values():
        origin = {
            "package": f"PyPI package `{source.package}`",
            "sdist": f"source distribution of `{source.package}` on PyPI",
            "download": f"download from {source.url}",
            "torchvision": "download by torchvision, hash checked by it",
            "hub": f"download by transformers from `{source.url}`, revision `{source.revision}`",
        }[source.kind]
        check = f", SHA-256 `{source.sha256}`" if source.sha256 else ""
        profiles = ", ".join(source.profiles)
        lines.append(f"| {source.title} | {origin}{check} | {profiles} | {source.size_mb} | {source.licence} |")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def explained_download(name: str, bundled: str):
    """Turn the many errors of a download that fails into one that says what to do."""
    try:
        yield
    except (OSError, ConnectionError) as error:
        if isinstance(error, (SourceMissing, WrongHash)):
            raise
        raise SourceMissing(
            f"The weights of {name} are not on this machine and could not be downloaded "
            f"({type(error).__name__}: {error}). Check the network, or use the bundled "
            f"{bundled} (set_profile('laptop')), which needs none."
        ) from error
