"""Files are whole or not there; archives stay inside their folder; another file than expected is refused."""

import errno
import io
import os
import platform
import subprocess
import sys
import tarfile
import zipfile

import psutil
import pytest
import torch
from safetensors.torch import save_file

from transfer_utils.runtime.files import WrongHash, cache_folder, check_hash, sha256, unpack, write_atomically

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-2


# ---------------------------------------------------------------- atomic writes


def test_a_write_puts_the_whole_file_in_place(tmp_path):
    write_atomically(tmp_path / "new folder" / "file", lambda part: part.write_text("all of it"))
    assert (tmp_path / "new folder" / "file").read_text() == "all of it"
    assert os.listdir(tmp_path / "new folder") == ["file"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("bad")])
def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, error):
    file = tmp_path / "file"
    file.write_text("old")

    def half(part):
        part.write_text("ne")
        raise error

    with pytest.raises(type(error)):
        write_atomically(file, half)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_until_the_write_is_complete_a_reader_sees_the_old_file(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    seen = []

    def slowly(part):
        part.write_text("n")
        seen.append(file.read_text())
        part.write_text("new")
        seen.append(file.read_text())

    write_atomically(file, slowly)
    assert (seen, file.read_text()) == (["old", "old"], "new")


KILLED_WHILE_IT_WRITES = """
import os, pathlib, sys
from transfer_utils.runtime.files import write_atomically
write_atomically(pathlib.Path(sys.argv[1]), lambda part: (part.write_text("ne"), os.kill(os.getpid(), 9)))
"""


def killed_while_it_writes(path):
    """Return the exit status of a process that is killed while it writes ``path``."""
    return subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_WRITES, str(path)], check=False).returncode


def test_a_process_killed_while_it_writes_leaves_the_old_file(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    assert killed_while_it_writes(file) == -9
    assert file.read_text() == "old"


def test_what_a_killed_process_left_is_removed_by_the_next_write_and_other_peoples_files_stay(tmp_path):
    assert killed_while_it_writes(tmp_path / "old name") == -9
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".part")
    (tmp_path / ".mine.part").write_text("a file of the user's")

    def write(part):
        part.write_text("all")
        write_atomically(tmp_path / "inner", lambda other: other.write_text("a write during a write"))
        assert part.is_file(), "this process runs"

    write_atomically(tmp_path / "new name", write)
    assert sorted(os.listdir(tmp_path)) == [".mine.part", "inner", "new name"]


@pytest.fixture
def left_by_this_number(tmp_path):
    """Return a file and a folder that a process with the number of this one left an hour before this one started."""
    file, folder = (tmp_path / f".{name}.{platform.node()}-{os.getpid()}.a1b2.part" for name in ("file", "unpacking"))
    file.touch()
    folder.mkdir()
    (folder / "content").touch()
    for left in (file, folder):
        os.utime(left, (psutil.Process().create_time() - 3600,) * 2)
    return file, folder


def test_what_a_killed_process_left_is_removed_when_its_number_runs_again(tmp_path, left_by_this_number):
    write_atomically(tmp_path / "new", lambda part: part.write_text("all"))
    assert os.listdir(tmp_path) == ["new"]


def test_a_process_that_cannot_be_asked_keeps_its_unfinished_files(tmp_path, left_by_this_number, monkeypatch):
    def refuse(self):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "create_time", refuse)
    write_atomically(tmp_path / "new", lambda part: part.write_text("all"))
    assert sorted(os.listdir(tmp_path)) == sorted([*(left.name for left in left_by_this_number), "new"])


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed: Disk quota exceeded"),
    RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed: No space left on device"),
]


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_is_named_with_what_to_do(tmp_path, error):
    (tmp_path / "file").write_text("old")

    def half(part):
        part.write_text("ne")
        raise error

    with pytest.raises(OSError, match=r"^no space left on .+: .*file was not written.*before is whole.*Free some"):
        write_atomically(tmp_path / "file", half)
    assert (tmp_path / "file").read_text() == "old"


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a disk of one megabyte, where this user may make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("no disk of our own can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # PyTorch may hold the half file open


def write_checkpoint(part, size):
    torch.save({"weights": torch.zeros(size)}, part)


def write_cache(part, size):
    save_file({"features": torch.zeros(size)}, part)


@pytest.mark.parametrize("write", [write_checkpoint, write_cache])
def test_a_disk_that_is_really_full_leaves_what_was_there(small_disk, write):
    file = small_disk / "file"
    write_atomically(file, lambda part: write(part, 1000))
    before = file.read_bytes()
    with pytest.raises(OSError, match=f"no space left on tmpfs .{small_disk}.: {file} was not written"):
        write_atomically(file, lambda part: write(part, 10**6))
    assert file.read_bytes() == before
    assert os.listdir(small_disk) == ["file"]


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PermissionError, match="file/folder cannot be written.*set TRANSFER_CACHE"):
        write_atomically(tmp_path / "file" / "folder" / "x", lambda part: None)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_read_only_cache_folder_is_named_with_what_to_do(tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # the superuser may write everywhere
    with pytest.raises(PermissionError, match=rf"{tmp_path}/cache cannot be written \(Permission denied\)"):
        cache_folder()


def test_the_cache_is_where_the_environment_says_or_in_the_checkout(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("TRANSFER_CACHE")
    monkeypatch.setattr("transfer_utils.runtime.files.writable", lambda folder: folder)
    assert cache_folder().parts[-2:] == ("data", "cache")


# ------------------------------------------------------------------------ hashes


def test_a_hash_is_of_all_files_one_after_the_other(tmp_path):
    for name, text in {"a": "a", "b": "bc", "abc": "abc"}.items():
        (tmp_path / name).write_text(text)
    assert sha256(tmp_path / "abc") == sha256([tmp_path / "a", tmp_path / "b"]) == ABC
    assert sha256([tmp_path / "b", tmp_path / "a"]) != ABC


def test_another_file_than_expected_is_refused_by_name(tmp_path):
    (tmp_path / "weights").write_text("abd")
    with pytest.raises(WrongHash, match=f"My weights is not the expected file: .*weights has.*expected {ABC}.*Nothing"):
        check_hash(tmp_path / "weights", ABC, "My weights", "Get it again.")
    (tmp_path / "weights").write_text("abc")
    assert check_hash(tmp_path / "weights", ABC, "My weights", "") is None


# ---------------------------------------------------------------------- archives


def make_zip(path, names, link=None):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, "/etc/passwd")
    return path


def make_tar(path, names, link=None):
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 7
            archive.addfile(info, io.BytesIO(b"content"))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return path


MAKERS = pytest.mark.parametrize("make", [make_zip, make_tar])


@pytest.fixture
def places(tmp_path):
    (tmp_path / "inside").mkdir()
    return tmp_path / "archive", tmp_path / "inside" / "data"


@MAKERS
def test_an_archive_is_unpacked_with_its_folders(make, places):
    archive, folder = places
    unpack(make(archive, ["data/train/a.txt", "data/val/name with spaces.txt"]), folder)
    assert (folder / "data/train/a.txt").read_text() == "content"
    assert (folder / "data/val/name with spaces.txt").is_file()
    assert os.listdir(folder.parent) == ["data"]


@MAKERS
@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../out.txt", "/tmp/out-of-unpack.txt", "a\\..\\..\\out.txt", "C:out.txt"]
)
def test_a_member_outside_the_folder_is_refused_and_nothing_is_unpacked(make, places, name):
    archive, folder = places
    make(archive, ["good.txt", name])
    with pytest.raises(ValueError, match="archive holds .*which would be written outside.*refused"):
        unpack(archive, folder)
    assert os.listdir(folder.parent) == []
    assert sorted(os.listdir(archive.parent)) == ["archive", "inside"]
    assert not os.path.exists("/tmp/out-of-unpack.txt")


def test_what_a_process_killed_while_it_unpacked_left_is_removed_by_the_next_one(places):
    archive, folder = places
    make_zip(archive, ["a.txt"])
    script = (
        "import os, pathlib, sys, zipfile; from transfer_utils.runtime.files import unpack\n"
        "zipfile.ZipFile.extractall = lambda *_: os.kill(os.getpid(), 9)\n"
        "unpack(*map(pathlib.Path, sys.argv[1:]))"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(archive), str(folder)], check=False)
    assert (killed.returncode, len(os.listdir(folder.parent))) == (-9, 1)
    unpack(archive, folder)
    assert os.listdir(folder.parent) == ["data"]


@MAKERS
def test_a_link_in_an_archive_is_refused(make, places):
    archive, folder = places
    with pytest.raises(ValueError, match=r"archive holds a link.*\(shortcut\): refused"):
        unpack(make(archive, ["good.txt"], link="shortcut"), folder)
    assert os.listdir(folder.parent) == []


def test_a_device_in_an_archive_is_refused(places):
    archive, folder = places
    with tarfile.open(archive, "w") as opened:
        info = tarfile.TarInfo("pipe")
        info.type = tarfile.FIFOTYPE
        opened.addfile(info)
    with pytest.raises(ValueError, match="link or device"):
        unpack(archive, folder)


def test_a_file_that_is_no_archive_is_refused_by_name(places):
    archive, folder = places
    archive.write_text("404: not found")
    with pytest.raises(ValueError, match="archive is neither a zip nor a tar archive"):
        unpack(archive, folder)


@MAKERS
def test_an_archive_cut_short_leaves_nothing_behind(make, places):
    archive, folder = places
    make(archive, [f"{i}.txt" for i in range(50)])
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ValueError, match="archive"):
        unpack(archive, folder)
    assert os.listdir(folder.parent) == []


def test_an_archive_damaged_inside_leaves_nothing_behind(places):
    archive, folder = places
    make_zip(archive, ["a.txt", "b.txt"])
    archive.write_bytes(archive.read_bytes().replace(b"content", b"contemt", 1))
    with pytest.raises(ValueError, match="archive is damaged.*Delete it and fetch again"):
        unpack(archive, folder)
    assert os.listdir(folder.parent) == []
