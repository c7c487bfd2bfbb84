"""The optimizer of the lessons: weight decay is what it says, and decoupled from the gradient."""

import pytest
import torch
from tiny import TinyNet, linear

from transfer_utils.training.rates import adamw


@pytest.mark.parametrize("weight_decay", [0.0, 0.01, 0.5])
def test_a_step_without_a_gradient_shrinks_weights_by_rate_times_decay(weight_decay):
    """Loshchilov and Hutter 2019, algorithm 2, line 12, where Adam's own part is 0."""
    model = linear()
    before = model.weight.detach().clone()
    optimizer = adamw(model, 0.1, weight_decay=weight_decay)
    model.weight.grad = torch.zeros_like(model.weight)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before * (1 - 0.1 * weight_decay))


def test_every_group_of_rates_by_depth_decays():
    optimizer = adamw(TinyNet(), 0.1, decay=0.5, weight_decay=0.25)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25] * 3
