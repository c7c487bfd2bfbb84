"""What may be computed once and kept: transforms that draw nothing, told apart by what they do, not by their repr."""

import functools
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from tiny import TinyNet, tiny_images
from torchvision import transforms as v1
from torchvision.transforms import v2

from transfer_utils import extract_features
from transfer_utils.models.backbones import Preprocess
from transfer_utils.runtime.files import cache_folder

PLAIN = Preprocess(16, (0.5,) * 3, (0.5,) * 3)
TO_TENSOR = (v2.ToImage(), v2.ToDtype(torch.float32, scale=True))


def features_with(transform, count=6):
    return extract_features(TinyNet(), tiny_images(count).with_transform(transform), progress=False).values


def files():
    return len(list((cache_folder() / "features").glob("*")))


# ------------------------------------------------------------ nothing by chance


def test_a_flip_by_chance_is_refused_whatever_comes_out_of_it():
    """Four calls of a coin can fall on the same side: 28 of 200 such transforms were cached once."""
    flips = v2.Compose([v2.RandomHorizontalFlip(0.5), *TO_TENSOR])
    model, images = TinyNet(), tiny_images(2).with_transform(flips)  # before the seed, because a TinyNet sets its own
    accepted = []
    for seed in range(200):
        torch.manual_seed(seed)
        try:
            extract_features(model, images, progress=False)
        except ValueError:
            continue
        accepted.append(seed)
    assert not accepted
    assert files() == 0


def python_coin(image):
    return PLAIN(image.rotate(90) if random.random() < 0.001 else image)


def numpy_coin(image):
    return PLAIN(image.rotate(90) if np.random.rand() < 0.001 else image)


def torch_coin(image):
    return PLAIN(image.rotate(90) if torch.rand(1) < 0.001 else image)


class Counting:
    """Draws nothing and still answers differently: it counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, image):
        self.calls += 1
        return PLAIN(image) + self.calls


@dataclass(frozen=True)
class OnlyBrightOnes:
    """Draws for images of the second class alone, which are brighter, and changes next to nothing."""

    def __call__(self, image):
        tensor = PLAIN(image)
        return tensor + torch.rand(1) * 1e-30 if tensor.mean() > -0.3 else tensor


RANDOM = {
    "Python": python_coin,
    "NumPy": numpy_coin,
    "PyTorch": torch_coin,
    "torchvision v1": v1.Compose([v1.RandomHorizontalFlip(0.01), v1.ToTensor()]),
    "applied rarely": v2.Compose([v2.RandomApply([v2.Grayscale(3)], p=0.01), *TO_TENSOR]),
    "some items only": OnlyBrightOnes(),
    "counting": Counting(),
}


@pytest.mark.parametrize("kind", RANDOM)
def test_what_is_random_is_refused_even_when_it_hardly_ever_shows(kind):
    with pytest.raises(ValueError, match="augments at random.*model.card.preprocess"):
        features_with(RANDOM[kind])


def test_looking_for_chance_leaves_the_random_state_as_it_was():
    model, images = TinyNet(), tiny_images(6).with_transform(torch_coin)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    with pytest.raises(ValueError, match="augments at random"):
        extract_features(model, images)
    assert torch.equal(torch.rand(1), expected)


# ----------------------------------------------------- told apart by what they do


def scaled(factor):
    return v2.Compose([*TO_TENSOR, v2.Lambda(lambda tensor: tensor * factor)])


def half(tensor):
    return tensor / 2


@dataclass(frozen=True)
class Holder:
    inner: object

    def __call__(self, image):
        return self.inner(PLAIN(image)) if callable(self.inner) else PLAIN(image) * self.inner


def test_two_functions_under_one_repr_do_not_share_their_features():
    assert repr(scaled(1)) == repr(scaled(0))
    with pytest.warns(UserWarning, match="(?s)not cached, because .*Lambda"):
        first = features_with(scaled(1))
    with pytest.warns(UserWarning, match="not cached"):
        second = features_with(scaled(0))
    assert not torch.allclose(first, second)
    assert files() == 0


@pytest.mark.parametrize("inner", [half, functools.partial(half), half.__call__, v2.Lambda(half)])
def test_whatever_holds_a_function_is_used_but_not_cached(inner):
    with pytest.warns(UserWarning, match="not cached"):
        assert len(features_with(Holder(inner))) == 6
    assert files() == 0


def test_settings_are_told_apart():
    for factor in (2, 3, 2):
        features_with(Holder(factor))
    assert files() == 2


def test_a_class_whose_code_was_changed_is_another_transform():
    """A learner edits a cell and runs it again: the name stays, the code does not."""
    outcomes = []
    for angle in (0, 90):
        text = f"class Turned:\n    def __call__(self, image):\n        return PLAIN(image.rotate({angle}))\n"
        space = {"PLAIN": PLAIN}
        exec(text, space)
        outcomes.append(features_with(dataclass(frozen=True)(space["Turned"])()))
    assert not torch.allclose(*outcomes)
    assert files() == 2
