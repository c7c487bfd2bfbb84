"""How far a network moved, and what the original head says on top of it."""

import copy

import pytest
import torch
from tiny import TinyNet, changed, weights_of
from torch import nn

from transfer_utils import replace_head
from transfer_utils.evaluation.forgetting import distance_moved, names_kept, old_answers, photograph_pieces

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_distance_is_the_length_of_the_change_over_the_length_before():
    start, model = TinyNet(), TinyNet()
    assert distance_moved(model, start) == 0
    with torch.no_grad():
        model.features[0][0].bias[:2] += torch.tensor([3.0, 4.0])  # a change of length 5
    body = torch.cat([p.detach().flatten() for p in start.features.parameters()])
    assert distance_moved(model, start) == pytest.approx(5 / float(body.norm()), rel=1e-5)


def test_without_names_the_head_does_not_count_and_with_names_only_they_do():
    start, model = TinyNet(), replace_head(TinyNet(), 5, seed=9)
    assert distance_moved(model, start) == 0
    moved = TinyNet()
    moved.fc.weight.data *= 1.25
    assert distance_moved(moved, start, ["fc.weight"]) == pytest.approx(0.25)
    assert distance_moved(moved, start, ["features.0.0.weight"]) == 0


def test_an_untouched_body_gives_the_old_answers_whatever_its_head():
    original = TinyNet(classes=4).eval()
    body = replace_head(copy.deepcopy(original), 2).train()
    before = weights_of(body)
    assert torch.equal(old_answers(body, original, IMAGES, old_statistics=False), original(IMAGES))
    assert not changed(before, weights_of(body))
    assert body.training
    assert body.fc.out_features == 2


def test_old_statistics_leave_only_the_change_of_the_weights():
    original = TinyNet(classes=4).eval()
    body = copy.deepcopy(original)
    body.features[0][1].running_mean += 1.0
    assert not torch.allclose(old_answers(body, original, IMAGES, old_statistics=False), original(IMAGES))
    assert torch.equal(old_answers(body, original, IMAGES, old_statistics=True), original(IMAGES))
    with torch.no_grad():
        body.features[0][0].weight += 0.5
    assert not torch.allclose(old_answers(body, original, IMAGES, old_statistics=True), original(IMAGES))


def test_the_original_head_is_used_with_its_weights():
    original = TinyNet(classes=4).eval()
    nn.init.zeros_(original.fc.weight)
    assert torch.equal(old_answers(TinyNet().eval(), original, IMAGES, False), original.fc.bias.expand(4, 4))


def test_pieces_of_photographs_differ_and_are_repeated_by_their_seed():
    first, again = (photograph_pieces(TinyNet(), 16, 3, seed=1) for _ in range(2))
    assert first.shape == (6, 3, 16, 16)
    assert torch.equal(first, again)
    assert not torch.equal(first, photograph_pieces(TinyNet(), 16, 3, seed=2))
    assert len({piece.sum().item() for piece in first}) == 6


def test_names_are_kept_by_part():
    original = TinyNet(classes=4).eval()
    before = weights_of(original)
    body = replace_head(copy.deepcopy(original), 2)
    parts = ("all that was trained", "weights alone", "statistics alone")
    assert names_kept(body, original, IMAGES) == dict.fromkeys(parts, 1.0), "another head does not count"
    names = original(IMAGES).argmax(1)
    for norm in (module for module in body.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean += torch.randn_like(norm.running_mean) * 50
    found = names_kept(body, original, IMAGES)
    assert found["weights alone"] == 1
    assert found["all that was trained"] == found["statistics alone"]
    probe = copy.deepcopy(original)
    probe.load_state_dict({n: t for n, t in body.state_dict().items() if not n.startswith("fc.")}, strict=False)
    assert found["statistics alone"] == (probe(IMAGES).argmax(1) == names).double().mean().item()
    assert not changed(before, weights_of(original))
