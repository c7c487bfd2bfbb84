"""Processes that reach only their own machine, and leave a note of whom they tried to reach."""

import os

from transfer_utils.runtime.files import checkout

# Python imports this by itself when it starts, in the kernel as well. It lets only this machine be reached,
# and writes down who else was asked for, so that an attempt that is caught and passed over is seen too.
GUARD = """
import os, socket

def _is_here(host):
    return host in (None, "", "localhost", "127.0.0.1", "::1", b"localhost") or str(host).startswith("127.")

def _refuse(host):
    with open(os.environ["COURSE_ATTEMPTS"], "a") as file:
        file.write(f"{host}\\n")
    raise ConnectionRefusedError(f"this run may not reach {host}")

def _guarded(method):
    def connect(self, address):
        if isinstance(address, tuple) and not _is_here(address[0]):
            _refuse(address[0])
        return method(self, address)
    return connect

def _resolve(host, *args, _real=socket.getaddrinfo, **kwargs):
    return _real(host, *args, **kwargs) if _is_here(host) else _refuse(host)

socket.socket.connect = _guarded(socket.socket.connect)
socket.socket.connect_ex = _guarded(socket.socket.connect_ex)
socket.getaddrinfo = _resolve
"""


def guarded(folder, paths=None):
    """Return the environment of a process that is refused the network; ``folder`` holds its guard, caches and notes.

    Whom it tried to reach stands in the file that ``COURSE_ATTEMPTS`` names. ``paths`` are searched for modules: the
    checkout, where none are given.
    """
    paths = [checkout()] if paths is None else paths
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD)
    (folder / "attempts").touch()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return environment | {
        "PYTHONPATH": os.pathsep.join([str(folder / "guard"), *map(str, paths)]),
        "COURSE_ATTEMPTS": str(folder / "attempts"),
        "COURSE_STATIC": "1",
        "TRANSFER_PROFILE": "tiny",
        "TRANSFER_CACHE": str(folder / "cache"),
        "TRANSFER_LEDGER": str(folder / "ledger.csv"),
        "TORCH_HOME": str(folder / "torch"),
        "HF_HOME": str(folder / "hub"),
    }
