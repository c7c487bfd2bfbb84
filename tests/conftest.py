"""What the unit tests share: a room of their own, no network, folders of images."""

import ipaddress
import socket

import hypothesis
import pytest
from PIL import Image

from transfer_utils.runtime import profile
from transfer_utils.runtime.files import download_folder

# The same examples in every run, and no judgement of times, which other programs disturb.
hypothesis.settings.register_profile("course", derandomize=True, deadline=None)
hypothesis.settings.load_profile("course")

FETCHED_AT_SET_UP = download_folder() / "sentiment"


@pytest.fixture(autouse=True)
def _room_of_its_own(monkeypatch, tmp_path, tmp_path_factory):
    """Give each test the profile tiny, and folders that nobody else writes; what set-up fetched is there to read."""
    downloads = tmp_path_factory.mktemp("downloads")
    if FETCHED_AT_SET_UP.is_dir():
        (downloads / "sentiment").symlink_to(FETCHED_AT_SET_UP)
    monkeypatch.setattr(profile, "_current", profile.PROFILES["tiny"])
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRANSFER_DOWNLOADS", str(downloads))
    monkeypatch.setenv("TRANSFER_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setenv("TRANSFER_STUDIES", str(tmp_path / "studies"))  # never those of the checkout
    monkeypatch.setenv("TRANSFER_DEVICE", "cpu")
    for name in ("TRANSFER_BACKBONE", "TRANSFER_ENCODER", "COURSE_BUILD", "COURSE_STATIC", "COURSE_STUDIES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Refuse every connection but loopback, as an aeroplane would."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    look_up = socket.getaddrinfo

    def refuse_outside(family, address):
        host = address[0] if family in (socket.AF_INET, socket.AF_INET6) else "localhost"
        if host not in ("", "localhost") and not ipaddress.ip_address(host).is_loopback:
            raise ConnectionRefusedError(f"A unit test tried to reach {host}.")

    def checked(real):
        def call(self, address):
            refuse_outside(self.family, address)
            return real(self, address)

        return call

    def local_look_up(host, *rest, **options):
        if host not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"):
            raise socket.gaierror(f"A unit test looked up {host!r}.")
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", checked(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", checked(connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", local_look_up)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip is another process


@pytest.fixture
def downloads(monkeypatch, tmp_path):
    """Return the folder of downloads of this test, into which nothing was fetched yet."""
    monkeypatch.setenv("TRANSFER_DOWNLOADS", str(tmp_path / "downloads"))
    return tmp_path / "downloads"


@pytest.fixture
def image_tree(tmp_path):
    """Return a maker of folders of images: ``image_tree({"cat": 10, "dog": 10})`` gives their root."""

    def make(counts, root=None, suffix=".png"):
        root = root or tmp_path / "photos"
        for number, (folder, count) in enumerate(counts.items()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                Image.new("RGB", (12, 10), (40 * number % 256, 10 * i % 256, 90)).save(root / folder / f"{i}{suffix}")
        return root

    return make
