"""The wheel that Colab installs: what is in it, and lesson 01 from another folder, without a checkout or a network."""

import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from offline import guarded

from transfer_utils.runtime.files import checkout

ROOT = checkout()
LESSON = ROOT / "notebooks" / "01_feature_extraction.ipynb"
LARGEST_MB = 11  # the studies of all lessons have 10
BESIDE_CODE = (".toml", ".css", ".j2", ".html", ".safetensors", ".md", ".js")
HERE = """
import transfer_utils
from transfer_utils.runtime import files
from transfer_utils.lesson.studies import files as study_files
print(files.checkout(), transfer_utils.__file__, study_files.__file__, sep="|")
"""
STORED = """
from transfer_utils.lesson.studies.files import read_study, studies_folder, study_file
file = study_file(studies_folder(), "01", "heads", "laptop")
print(file, *read_study(file).runs, sep="|")
"""


def sources():
    """Return the files of the course: those in git, and those that are new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the wheel, built without a network from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in sources():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "source" / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    ended = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    (built,) = (folder / "dist").glob("*.whl")
    return built


def names_in(wheel):
    return [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = names_in(wheel)
    assert [name for name in names if not name.startswith("transfer_utils/")] == []
    assert [name for name in names if Path(name).suffix not in (".py", *BESIDE_CODE)] == []
    assert [name for name in names if "__pycache__" in name or "/test_" in name or name.endswith(".ipynb")] == []
    assert wheel.stat().st_size < LARGEST_MB * 1e6


def test_the_wheel_holds_every_file_of_the_package_and_the_studies(wheel):
    package = [name for name in sources() if name.startswith("transfer_utils/")]
    studies = [name for name in sources() if name.startswith("notebooks/studies/")]
    expected = {*package, *(name.replace("notebooks/", "transfer_utils/", 1) for name in studies)}
    assert "transfer_utils/runtime/sources.toml" in expected
    assert studies
    assert set(names_in(wheel)) == expected


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return an environment that has the wheel, and the packages of this one beside it, but not this checkout.

    The packages come by a .pth line, whose folder is not searched for further .pth files: the editable course is one.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    zipfile.ZipFile(wheel).extractall(packages)
    (Path(packages) / "beside.pth").write_text("\n".join(site.getsitepackages()))
    return python, guarded(folder, paths=())


def printed_by(source, installed, folder):
    """Run a source beside the wheel and return what it printed, parted at the strokes."""
    python, environment = installed
    environment = {name: value for name, value in environment.items() if name != "TRANSFER_STUDIES"}
    command = [python, "-c", source]
    ended = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip().split("|")


def test_without_a_checkout_studies_and_checks_come_from_the_wheel(installed, tmp_path):
    python = installed[0]
    root, package, studies = printed_by(HERE, installed, tmp_path)
    assert root == "None"
    environment_folder = str(python.parents[1])
    assert package.startswith(environment_folder)
    assert studies.startswith(environment_folder)
    assert (Path(package).parent / "studies").is_dir()
    assert (Path(package).parent / "lesson" / "checks" / "lesson_01.py").is_file()


def test_the_wheel_reads_the_stored_runs_it_carries(installed, tmp_path):
    """Through the lookup of the package itself, which no variable helps."""
    file, *seeds = printed_by(STORED, installed, tmp_path)
    assert file.startswith(str(installed[0].parents[1]))
    assert seeds == [str(seed) for seed in range(10)]


def test_lesson_01_runs_beside_the_wheel(installed, tmp_path):
    python, environment = installed
    shutil.copyfile(LESSON, tmp_path / LESSON.name)
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    start = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": start, "display_name": "wheel", "language": "python"}))
    environment = environment | {"JUPYTER_PATH": str(tmp_path / "jupyter"), "OMP_NUM_THREADS": "1"}
    command = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--stdout", LESSON.name]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Profile: tiny" in ended.stdout
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the lesson tried to reach these"
