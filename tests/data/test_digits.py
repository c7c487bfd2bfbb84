"""Digits in two domains: as many as they should be, the same each time, and not the same as each other."""

import numpy as np
import pytest
import torch

from transfer_utils import data
from transfer_utils.data import digits
from transfer_utils.models.small_networks import digit_cnn
from transfer_utils.techniques.two_sample_tests import permutation_test


@pytest.fixture(scope="module")
def domains():
    return {domain: digits.load(domain) for domain in ("rendered", "handwritten")}


def pixels(part):
    return part.with_transform(digits.to_tensor).in_memory().tensors[0]


@pytest.mark.parametrize(("domain", "count"), [("rendered", 3000), ("handwritten", 1797)])
def test_every_image_is_in_one_split_and_every_digit_in_each(domains, domain, count):
    parts = domains[domain]
    assert sum(len(part) for part in (parts.train, parts.validation, parts.test)) == count
    for part in (parts.train, parts.validation, parts.test):
        assert part.labels.unique().tolist() == list(range(10))
        assert part.class_names == tuple("0123456789")


def test_both_domains_have_the_same_shape_and_range(domains):
    for parts in domains.values():
        images = pixels(parts.test)
        assert images.shape[1:] == (1, 8, 8)
        assert images.dtype == torch.float32
        assert images.min() == -1
        assert images.max() == 1


def test_rendering_is_the_same_each_time(domains):
    assert digits.load("rendered").train.fingerprint() == domains["rendered"].train.fingerprint()


def test_no_rendered_digit_stands_in_two_splits(domains):
    parts = domains["rendered"]
    train = {image.numpy().tobytes() for image in pixels(parts.train)}
    assert not any(image.numpy().tobytes() in train for image in pixels(parts.test))


def test_the_domains_differ(domains):
    first, second = (pixels(parts.train)[:100].flatten(1) for parts in domains.values())
    assert permutation_test(first, second, 100)[1] < 0.02


def test_a_nearest_mean_of_rendered_digits_reads_handwriting_better_than_guessing(domains):
    rendered, handwritten = domains["rendered"].train, domains["handwritten"].test
    images = pixels(rendered).flatten(1)
    means = torch.stack([images[rendered.labels == digit].mean(0) for digit in range(10)])
    said = torch.cdist(pixels(handwritten).flatten(1), means).argmin(1)
    assert (said == handwritten.labels).double().mean() > 0.3


def test_by_name_and_limited():
    assert len(data.load("digits", items=(64, 32, 48), domain="rendered").train) == 64
    with pytest.raises(ValueError, match="not 'printed'"):
        data.load("digits", domain="printed")


def test_the_network_for_digits_has_features_of_its_width():
    body = digit_cnn(16, seed=1).eval()
    features = body(torch.zeros(3, 1, 8, 8))
    assert features.shape == (3, 16)
    assert torch.equal(digit_cnn(16, seed=1).eval()(torch.zeros(3, 1, 8, 8)), features)
    assert np.all(features.detach().numpy() >= 0)
