"""The hub is asked once; offline holds only while a download is tried and the hub does not answer."""

import pytest
from huggingface_hub import constants

from transfer_utils.models import hub
from transfer_utils.runtime.sources import SourceMissing


@pytest.mark.parametrize("answers", [True, False])
def test_offline_is_what_the_hub_answers_and_ends_with_the_download(monkeypatch, answers):
    monkeypatch.setattr(hub, "_answers", lambda address: answers)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with hub.hub_download("some/model", "'minilm'"):
        assert constants.HF_HUB_OFFLINE is not answers
    assert constants.HF_HUB_OFFLINE is False


def test_after_a_failure_the_setting_is_what_it_was(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(SourceMissing, match="some/model are not on this machine"):  # noqa: SIM117
        with hub.hub_download("some/model", "'minilm'"):
            raise OSError("not in the cache")
    assert constants.HF_HUB_OFFLINE is False


def test_who_works_offline_stays_offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_answers", lambda address: pytest.fail("asked the hub"))
    with hub.hub_download("some/model", "'minilm'"):
        assert constants.HF_HUB_OFFLINE is True
    assert constants.HF_HUB_OFFLINE is True
