"""Downloads from the Hugging Face Hub: one request finds out whether it answers; if not, the local cache must do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..runtime.sources import explained_download


@contextlib.contextmanager
def hub_download(name: str, bundled: str) -> Iterator[None]:
    """While open, weights come from the hub; without a network from its cache on disk, or not at all, but at once.

    ``huggingface_hub`` repeats each failed request five times, which takes a minute. So one request finds out whether
    the hub can be reached, and if not, ``HF_HUB_OFFLINE`` holds while this is open.

    Args:
        name: of the model, for the message.
        bundled: the model that needs no network, to be named in the message.

    Raises:
        SourceMissing: the weights are not on this machine and cannot be downloaded.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        with explained_download(name, bundled):
            yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address: str) -> bool:
    from huggingface_hub.utils import get_session

    try:
        get_session().head(address, timeout=5)
    except Exception:  # no name, no route, no answer in time, a refused certificate: each library has its own kinds
        return False
    return True
