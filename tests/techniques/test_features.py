"""Features: what the frozen body says, extracted once, and never a stale or damaged answer."""

import random
from dataclasses import dataclass

import pytest
import torch
from PIL import Image
from tiny import TinyNet, tiny_images, tiny_splits
from torch import nn
from torchvision.transforms import v2

from transfer_utils import extract_features, mlp_head, replace_head
from transfer_utils.models.backbones import Preprocess
from transfer_utils.runtime.files import cache_folder
from transfer_utils.techniques.features import Features, FeatureSplits


@pytest.fixture
def model():
    return TinyNet()


@pytest.fixture
def images(model):
    return tiny_images(10).with_transform(model.card.preprocess())


def cached():
    return sorted((cache_folder() / "features").glob("*"))


def passes_through(model):
    """Return a list that grows with each forward pass of ``model``."""
    passes = []
    model.register_forward_pre_hook(lambda *_: passes.append(1))
    return passes


def by_hand(model, images):
    model.eval()
    with torch.no_grad():
        return torch.stack([model.features(images[i][0][None]).mean((2, 3))[0] for i in range(len(images))])


# -------------------------------------------------------------- what comes out


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_features_equal_the_body_run_by_hand(model, images, batch_size):
    features = extract_features(model, images, batch_size=batch_size)
    torch.testing.assert_close(features.values, by_hand(model, images), rtol=1e-5, atol=1e-6)
    assert torch.equal(features.labels, images.labels)
    assert features.class_names == images.class_names


def test_the_head_on_features_says_what_the_network_says(model, images):
    replace_head(model, 2, mlp_head)
    features = extract_features(model, images)
    with torch.no_grad():
        whole = model.eval()(torch.stack([image for image, _ in images]))
        torch.testing.assert_close(model.fc(features.values), whole)


def test_the_model_is_left_in_the_modes_it_had(model, images):
    model.train()
    model.features[0].eval()
    extract_features(model, images)
    assert model.training
    assert model.features[1].training
    assert not model.features[0].training
    assert not model.fc._forward_pre_hooks


def test_all_splits_are_extracted_together(model):
    splits = tiny_splits(6).with_transform(model.card.preprocess())
    features = extract_features(model, splits)
    torch.testing.assert_close(features.test.values, by_hand(model, splits.test), rtol=1e-5, atol=1e-6)
    assert len(features.train) == len(features.validation) == 6


def test_standardising_measures_on_the_training_split_alone():
    parts = [Features(torch.randn(20, 3) * 5 + k, torch.zeros(20), ("a", "b")) for k in range(3)]
    scaled = FeatureSplits(*parts).standardised()
    torch.testing.assert_close(scaled.train.values.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(scaled.train.values.std(0), torch.ones(3))
    mean, deviation = parts[0].values.mean(0), parts[0].values.std(0)
    torch.testing.assert_close(scaled.test.values, (parts[2].values - mean) / deviation)


def test_another_domain_can_be_the_measure_and_the_splits_become_data_sets():
    parts = [Features(torch.randn(20, 3) * 5 + k, torch.arange(20), ("a", "b")) for k in range(4)]
    scaled = FeatureSplits(*parts[:3]).standardised(parts[3])
    mean, deviation = parts[3].values.mean(0), parts[3].values.std(0)
    torch.testing.assert_close(scaled.train.values, (parts[0].values - mean) / deviation)
    data = scaled.datasets()
    assert list(data) == ["train", "validation", "test"]
    assert torch.equal(data["validation"].tensors[0], scaled.validation.values)


def test_features_become_a_data_set_and_subsets(model, images):
    features = extract_features(model, images)
    vector, label = features.subset(torch.tensor([3, 1])).dataset()[0]
    assert torch.equal(vector, features.values[3])
    assert label == features.labels[3]


# ------------------------------------------------------------------- the cache


def test_a_second_extraction_reads_the_file_and_makes_no_forward_pass(model, images):
    first, passes = extract_features(model, images), passes_through(model)
    assert torch.equal(extract_features(model, images).values, first.values)
    assert not passes
    extract_features(model, images, cache=False)
    assert passes


def change_weights(model, images):
    with torch.no_grad():
        model.features[1][0].bias[0] += 1e-3
    return images


def change_buffers(model, images):
    model.features[0][1].running_mean[0] += 1e-3
    return images


CHANGES = {
    "weights": change_weights,
    "BatchNorm statistics": change_buffers,
    "transform": lambda model, images: images.with_transform(model.card.preprocess(18)),
    "normalisation": lambda model, images: images.with_transform(Preprocess(16, (0.4,) * 3, (0.5,) * 3)),
    "images": lambda model, images: tiny_images(10, seed=1).with_transform(images.transform),
    "order": lambda model, images: images.subset([1, 0, *range(2, 10)]),
    "number": lambda model, images: images.subset(range(9)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_cache_is_not_used_when_something_changed(model, images, what):
    extract_features(model, images)
    other = CHANGES[what](model, images)
    features = extract_features(model, other)
    torch.testing.assert_close(features.values, by_hand(model, other), rtol=1e-5, atol=1e-6)
    assert len(cached()) == 2


def test_a_layer_without_weights_decides_too(model, images):
    before = extract_features(model, images).values
    model.features[1][2] = nn.Identity()
    assert not torch.allclose(extract_features(model, images).values, before)


def test_a_new_head_does_not_invalidate_the_cache(model, images):
    extract_features(model, images)
    extract_features(replace_head(model, 7), images)
    assert len(cached()) == 1


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def fill_with_noise(path):
    path.write_bytes(random.Random(0).randbytes(400))


@pytest.mark.parametrize("damage", [truncate, empty, fill_with_noise])
def test_a_damaged_cache_is_said_and_extracted_again(model, images, damage):
    first = extract_features(model, images)
    (path,) = cached()
    damage(path)
    with pytest.warns(UserWarning, match=f"cached features .*{path.name} are damaged.*extracting them again"):
        again = extract_features(model, images)
    assert torch.equal(again.values, first.values)
    passes = passes_through(model)
    extract_features(model, images)
    assert not passes


def test_an_extraction_that_is_interrupted_leaves_no_half_file(model, images, monkeypatch):
    def half(tensors, path):
        path.write_bytes(b"half a fi")
        raise KeyboardInterrupt

    monkeypatch.setattr("transfer_utils.techniques.stored_outputs.save_file", half)
    with pytest.raises(KeyboardInterrupt):
        extract_features(model, images)
    assert cached() == []


def test_a_cache_folder_that_cannot_be_written_is_named(model, images, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(PermissionError, match="file/cache cannot be written.*TRANSFER_CACHE"):
        extract_features(model, images)


# -------------------------------------------------------------- what is refused


def test_an_augmenting_transform_is_refused(model, images):
    augmented = images.with_transform(images.transform.augmented(lambda image: image))
    with pytest.raises(ValueError, match="augments at random.*model.card.preprocess"):
        extract_features(model, augmented)


def test_a_random_transform_of_another_library_is_refused(model, images):
    flips = v2.Compose([v2.ToImage(), v2.RandomCrop(12), v2.ToDtype(torch.float32, scale=True)])
    with pytest.raises(ValueError, match="augments at random"):
        extract_features(model, images.with_transform(flips))


def test_a_missing_transform_is_refused(model):
    with pytest.raises(ValueError, match="no transform.*model.card.preprocess"):
        extract_features(model, tiny_images(4))


def test_an_empty_split_is_refused(model, images):
    with pytest.raises(ValueError, match="no data to predict on"):
        extract_features(model, images.subset([]))


# ------------------------------------------------------ transforms of one's own


def darker(image: Image.Image) -> torch.Tensor:
    return Preprocess(16, (0.5,) * 3, (0.5,) * 3)(image.point(lambda value: value // 2))


@dataclass(frozen=True)
class Darker:
    factor: int

    def __call__(self, image):
        return Preprocess(16, (0.5,) * 3, (0.5,) * 3)(image.point(lambda value: value // self.factor))


def test_a_plain_function_is_used_but_not_cached_and_that_is_said(model, images):
    with pytest.warns(UserWarning, match="not cached, because <function darker"):
        features = extract_features(model, images.with_transform(darker))
    torch.testing.assert_close(features.values, by_hand(model, images.with_transform(darker)), rtol=1e-5, atol=1e-6)
    assert not (cache_folder() / "features").exists()


def test_a_transform_that_says_its_settings_is_cached_by_them(model, images):
    for factor in (2, 3, 2):
        extract_features(model, images.with_transform(Darker(factor)))
    assert len(cached()) == 2


def test_features_are_compared_as_objects_and_a_model_without_a_card_is_named(model, images):
    features = extract_features(model, images)
    assert features == features
    assert features != extract_features(model, images)
    with pytest.raises(TypeError, match="has no card"):
        extract_features(nn.Flatten(), images)
