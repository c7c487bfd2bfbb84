"""What the unit tests share: a room of their own, no network, folders of images."""

import ipaddress
import socket

import pytest
from PIL import Image

from transfer_utils import profile


@pytest.fixture(autouse=True)
def _room_of_its_own(monkeypatch, tmp_path):
    """Give each test the profile tiny and a cache folder that nobody else writes."""
    monkeypatch.setattr(profile, "_current", profile.PROFILES["tiny"])
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRANSFER_DEVICE", "cpu")


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
