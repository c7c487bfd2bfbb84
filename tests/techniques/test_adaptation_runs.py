"""The runs of a study of domain adaptation: the same beginning for all ways, no target label seen, honest looks."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from transfer_utils.evaluation.metrics import accuracy
from transfer_utils.techniques.adaptation_runs import PairOfDomains, drawn_in_proportion
from transfer_utils.techniques.dann import Dann
from transfer_utils.techniques.mmd import Alignment, mmd


def domain(shift, seed=0, labels_of=lambda x: (x[:, 0] > 0).long()):
    """Return three splits of two classes in five dimensions, moved in one of them."""
    parts = {}
    for place, part in enumerate(("train", "validation", "test")):
        x = torch.randn(60, 5, generator=torch.Generator().manual_seed(10 * seed + place))
        parts[part] = TensorDataset(x + shift * torch.eye(5)[1], labels_of(x))
    return parts


def make(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU()), nn.Linear(8, 2)


def pair(target=None):
    return PairOfDomains(domain(0), target or domain(4, seed=1), make, 8, accuracy, epochs=25, batch_size=20, lr=1e-2)


def align(weight):
    return Alignment(mmd, weight, joint=False)


def test_a_look_holds_scores_of_the_target_and_distances_that_alignment_makes_smaller():
    both = pair()
    looks = {name: both.look(both.train(step, 0)) for name, step in {"source": None, "mmd": align(3.0)}.items()}
    assert looks["mmd"]["scores"].shape == (60, 2)
    assert looks["mmd"]["MMD²"] < 0.85 * looks["source"]["MMD²"]
    assert looks["mmd"]["MMD² in a class"] < looks["source"]["MMD² in a class"]
    assert looks["source"]["A-distance"] > 1.5


@pytest.mark.parametrize("step", [None, Dann(0.1, joint=False), align(1.0)])
def test_the_labels_of_the_target_change_nothing(step):
    wrong = domain(4, seed=1, labels_of=lambda x: (x[:, 0] < 0).long())
    models = [one.train(step, 0) for one in (pair(), pair(wrong))]
    for one, other in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)


def test_the_oracle_reads_them_and_own_statistics_leave_the_model_alone():
    both = pair()
    model = both.train(None, 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adapted = both.own_statistics(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not torch.equal(adapted.body[1].running_mean, model.body[1].running_mean)
    scores, labels = both.look(both.oracle(0))["scores"], both.target["test"].tensors[1]
    assert accuracy(scores, labels) > 0.8


def test_each_weight_has_a_look_and_two_scores_without_labels():
    found = pair().at_weights(align, (0.3, 3.0), seed=0)
    assert list(found) == ["0.3", "3"]
    assert all(0 <= one["way back"] <= 1 and 0 <= one["information"] <= 0.6932 for one in found.values())


def test_items_are_drawn_in_proportion_with_their_own_labels():
    inputs, labels = torch.arange(1000.0)[:, None], (torch.arange(1000) < 300).long()
    drawn = drawn_in_proportion(TensorDataset(inputs, labels), torch.tensor([0.2, 0.8]), seed=0)
    x, y = drawn.tensors
    assert len(x) == 1000
    assert y.double().mean() == pytest.approx(0.8, abs=0.04)
    assert torch.equal((x[:, 0] < 300).long(), y)
    assert torch.equal(x, drawn_in_proportion(TensorDataset(inputs, labels), torch.tensor([0.2, 0.8]), 0).tensors[0])
