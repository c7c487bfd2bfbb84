"""MMD and its relatives: exact where rounding would corrupt it, equal to explicit kernels, and what CORAL misses."""

import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from transfer_utils.data.clouds import cloud_pairs
from transfer_utils.techniques.distances import squared_distances
from transfer_utils.techniques.mmd import coral, gaussian_kernel, median_bandwidth, mmd, polynomial_mmd


def far(count, width=1280, seed=0):
    """Return points in float32 whose squared distances are in the thousands."""
    return 4 * torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + 3


def test_a_kernel_that_is_too_narrow_gives_exactly_two_divided_by_the_size_and_no_gradient():
    x, y = far(64).requires_grad_(), far(64, seed=1)
    value = mmd(x, y, bandwidth=1.0, scales=(1.0,))
    assert value.item() == 2 / 64
    assert torch.autograd.grad(value, x)[0].abs().max() == 0
    assert mmd(x, y, bandwidth=1.0, scales=(1.0,), unbiased=True).item() == 0
    assert mmd(far(50), far(20, seed=1), bandwidth=1.0, scales=(1.0,)).item() == pytest.approx(
        1 / 50 + 1 / 20, abs=1e-9
    )


def test_the_kernel_of_a_sample_with_itself_is_one_on_the_diagonal():
    x = far(40)
    assert gaussian_kernel(x, x, median_bandwidth(x, x), (0.01, 1.0)).diagonal().eq(1).all()


def test_the_distance_to_itself_is_zero_without_a_gradient_and_the_others_stay():
    x = far(20).requires_grad_()
    found = squared_distances(x, x)
    assert found.diagonal().eq(0).all()
    assert torch.autograd.grad(found.diagonal().sum(), x)[0].abs().max() == 0
    torch.testing.assert_close(found, squared_distances(x, x.clone()), atol=0.1, rtol=1e-4)


def test_gretton_takes_twice_the_width():
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0]])
    assert median_bandwidth(x, y) == 9
    assert 2 * torch.pdist(torch.cat([x, y])).median() ** 2 == 2 * median_bandwidth(x, y)


@pytest.mark.parametrize(("count", "other"), [(20, 20), (15, 31)])
def test_the_mmd_of_moments_equals_the_explicit_polynomial_kernel(count, other):
    x, y = far(count, 6).double() / 4, far(other, 6, seed=1).double() / 2
    pairs = ((1, x, x), (1, y, y), (-2, x, y))
    expected = sum(sign * polynomial_kernel(a, b, degree=2, gamma=1 / 6, coef0=1).mean() for sign, a, b in pairs)
    assert polynomial_mmd(x, y).item() == pytest.approx(expected, abs=1e-9)


def test_coral_misses_a_moved_cloud_and_the_version_with_means_does_not():
    x, y = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(coral(x, y + 3), coral(x, y))
    assert polynomial_mmd(x, y + 3) > 10 * polynomial_mmd(x, y)


def test_neither_sees_another_shape_with_the_same_two_moments():
    x, y = (cloud.double() for cloud in cloud_pairs()["another shape"])
    assert max(coral(x, y), polynomial_mmd(x, y)) < 1e-9
    assert mmd(x, y) > 0.01


def test_bad_samples_are_refused():
    with pytest.raises(ValueError, match="one example"):
        polynomial_mmd(torch.ones(1, 2), torch.ones(4, 2))
