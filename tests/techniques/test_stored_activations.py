"""Stored activations: each is what the lower layers make of that variant of that image, and never a stale one."""

import itertools
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny import TinyNet, tiny_encoder, tiny_images, tiny_splits, tiny_texts

from transfer_utils import extract_features, fit, replace_head
from transfer_utils.data.batching import collect
from transfer_utils.runtime.files import cache_folder
from transfer_utils.runtime.seeding import set_seed
from transfer_utils.techniques import stored_outputs
from transfer_utils.techniques.stored_activations import (
    FLIPS,
    FLIPS_AND_TURNS,
    StoredActivations,
    stored_activations,
    variant,
)
from transfer_utils.techniques.upper_half import upper_half


@pytest.fixture
def model():
    return TinyNet()


@pytest.fixture
def images(model):
    return tiny_images(10).with_transform(model.card.preprocess(20))


def below(model, images, name):
    """Return by hand what the stem of a TinyNet makes of one variant of all images."""
    with torch.no_grad():
        return model.eval().features[0](torch.stack([variant(image, name) for image, _ in images]))


# -------------------------------------------------------------------- variants

grids = st.tuples(st.integers(1, 5), st.integers(0, 2**31 - 1)).map(
    lambda drawn: torch.rand(2, 3, drawn[0], drawn[0], generator=torch.Generator().manual_seed(drawn[1]))
)


@settings(max_examples=30)
@given(grids)
def test_variants_move_pixels_and_do_nothing_else(image):
    for name in FLIPS_AND_TURNS:
        changed = variant(image, name)
        assert changed.shape == image.shape
        assert torch.equal(changed.flatten(2).sort().values, image.flatten(2).sort().values)
    for name in {*FLIPS_AND_TURNS} - {"quarter turn", "three-quarter turn"}:
        assert torch.equal(variant(variant(image, name), name), image), "the flip of the flip is the identity"
    assert torch.equal(variant(variant(image, "quarter turn"), "quarter turn"), variant(image, "both flips"))
    assert torch.equal(variant(variant(image, "quarter turn"), "three-quarter turn"), image)


def test_the_eight_variants_differ_and_one_after_another_gives_one_of_them():
    image = torch.arange(9.0).view(1, 3, 3)
    every = {name: variant(image, name) for name in FLIPS_AND_TURNS}
    for one, other in itertools.combinations(every, 2):
        assert not torch.equal(every[one], every[other])
    for one, other in itertools.product(FLIPS_AND_TURNS, repeat=2):
        assert any(torch.equal(variant(every[one], other), known) for known in every.values())


def test_a_flip_turns_what_its_name_says():
    image = torch.tensor([[1, 2], [3, 4]])
    assert variant(image, "horizontal flip").tolist() == [[2, 1], [4, 3]]
    assert variant(image, "vertical flip").tolist() == [[3, 4], [1, 2]]
    assert variant(image, "quarter turn").tolist() == [[2, 4], [1, 3]], "against the clock"


# ---------------------------------------------------------------- what is stored


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_each_variant_is_what_the_lower_layers_make_of_the_changed_image(model, images, dtype):
    stored = extract_features(model, images, at="stem", variants=FLIPS_AND_TURNS, dtype=dtype, progress=False)
    assert stored.values.dtype == dtype
    assert stored.values.shape == (10, 8, 8, 5, 5)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-3
    for name in FLIPS_AND_TURNS:
        values, labels = collect(stored.only(name), range(10))
        assert values.dtype == torch.float32
        torch.testing.assert_close(values, below(model, images, name), rtol=tolerance, atol=tolerance)
        assert torch.equal(labels, images.labels)
    assert stored.class_names == images.class_names


def test_many_images_are_stored_in_their_order_whatever_the_chunks(model, monkeypatch):
    monkeypatch.setattr("transfer_utils.techniques.stored_activations.CHUNK", 3)
    images = tiny_images(10).with_transform(model.card.preprocess(20))
    stored = extract_features(model, images, at=1, variants=FLIPS[:2], batch_size=2, progress=False)
    expected = torch.stack([below(model, images, name) for name in FLIPS[:2]], 1)
    torch.testing.assert_close(stored.values.float(), expected, rtol=1e-3, atol=1e-3)


def test_of_three_splits_the_one_to_learn_from_has_the_variants(model):
    splits = tiny_splits(6).with_transform(model.card.preprocess())
    stored = extract_features(model, splits, at=1, variants=FLIPS, progress=False)
    assert stored.train.variants == FLIPS
    assert stored.validation.variants == stored.test.variants == ("identity",)
    torch.testing.assert_close(stored.test[3][0], below(model, splits.test, "identity")[3], rtol=1e-3, atol=1e-3)
    few = stored.with_train(stored.train.subset(torch.tensor([4, 1])))
    assert torch.equal(few.train.values, stored.train.values[[4, 1]])
    assert torch.equal(few.train.labels, splits.train.labels[[4, 1]])


def test_without_at_nothing_has_changed(model, images):
    features = extract_features(model, images, progress=False)
    assert features.values.shape == (10, 12)
    assert features.values.dtype == torch.float32


# ------------------------------------------------------------------ what is drawn


def numbered(items=50, variants=FLIPS):
    """Return activations that say their item and their variant."""
    values = 100 * torch.arange(items)[:, None] + torch.arange(len(variants))
    return StoredActivations(values[..., None].float(), torch.arange(items) % 2, ("a", "b"), tuple(variants))


def test_one_variant_of_each_item_is_drawn_and_every_one_has_its_turn():
    stored, indices = numbered(20), [7, 3, 3, 12]
    seen = set()
    for seed in range(100):
        set_seed(seed)
        values, labels = stored.collect(indices)
        assert torch.equal(values[:, 0] // 100, torch.tensor([7.0, 3, 3, 12]))
        assert labels.tolist() == [1, 1, 1, 0]
        seen |= {(place, int(v) % 100) for place, v in enumerate(values[:, 0])}
    assert seen == set(itertools.product(range(4), range(4)))


def test_the_variants_are_drawn_by_the_global_seed_and_alike_often():
    stored = numbered(600)
    set_seed(1)
    first = stored.collect(range(600))[0]
    assert not torch.equal(first, stored.collect(range(600))[0])
    set_seed(1)
    assert torch.equal(first, stored.collect(range(600))[0])
    counts = (first[:, 0] % 100).long().bincount()
    assert (counts - 150).abs().max() < 50  # 4.7 standard deviations


def test_one_variant_alone_draws_nothing():
    stored = numbered().only("vertical flip")
    set_seed(2)
    values = stored.collect(range(50))[0]
    drawn = torch.rand(1)
    set_seed(2)
    assert torch.equal(drawn, torch.rand(1))
    assert (values % 100 == 2).all()
    value, label = stored[5]
    assert value.tolist() == [502]
    assert label == 1


def test_two_runs_of_fit_see_the_same_variants_whatever_ran_before(model, images):
    histories = []
    for noise in range(2):
        fresh = TinyNet()
        stored = extract_features(fresh, images, at=1, variants=FLIPS, progress=False)
        torch.rand(noise)
        run = fit(upper_half(fresh, 1), stored, epochs=2, batch_size=4, progress="")
        histories.append(run.history)
    assert histories[0] == histories[1]


# --------------------------------------------------------------------- the cache


def files():
    return sorted((cache_folder() / "features").glob("*"))


def passes_through(model):
    passes = []
    model.features[0][0].register_forward_pre_hook(lambda module, inputs: passes.append(len(inputs[0])))
    return passes


def ask(model, images, **options):
    return extract_features(model, images, **{"at": 1, "variants": FLIPS, "progress": False} | options)


def forward_passes_of_items(passes):
    return [count for count in passes if count > 2]  # a trial of the cut has two


def test_a_second_extraction_reads_the_file(model, images):
    first, passes = ask(model, images), passes_through(model)
    assert torch.equal(ask(model, images).values, first.values)
    assert not forward_passes_of_items(passes)
    ask(model, images, cache=False)
    assert forward_passes_of_items(passes) == [10] * 4


def change_above(model, images):
    with torch.no_grad():
        model.features[1][0].bias[0] += 1
    replace_head(model, 7)
    return {}


def change_below(model, images):
    with torch.no_grad():
        model.features[0][0].bias[0] += 1
    return {}


def change_statistics(model, images):
    model.features[0][1].running_var[3] *= 2
    return {}


CHANGES = {
    "lower weights": change_below,
    "BatchNorm statistics below": change_statistics,
    "other variants": lambda model, images: {"variants": FLIPS[:3]},
    "order of variants": lambda model, images: {"variants": FLIPS[::-1]},
    "type": lambda model, images: {"dtype": torch.float32},
    "place": lambda model, images: {"at": 2},
    "transform": lambda model, images: {"images": images.with_transform(model.card.preprocess(24))},
    "order of items": lambda model, images: {"images": images.subset([1, 0, *range(2, 10)])},
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_cache_is_not_used_when_something_below_changed(model, images, what):
    ask(model, images)
    passes, change = passes_through(model), CHANGES[what](model, images)
    found = ask(model, **{"images": images} | change)
    assert forward_passes_of_items(passes)
    assert len(files()) == 2
    assert torch.equal(found.values, ask(model, cache=False, **{"images": images} | change).values)


def test_what_changes_above_does_not_matter(model, images):
    ask(model, images)
    change_above(model, images)
    passes = passes_through(model)
    ask(model, images)
    assert not forward_passes_of_items(passes)
    assert len(files()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_comes_from_the_cache_is_mapped_from_the_file(model, images):
    ask(model, images)
    mapped = ask(model, images).values
    (path,) = files()
    assert torch.equal(mapped, load_file(path)["features"])
    with open("/proc/self/maps") as maps:
        assert path.name in maps.read()


@pytest.mark.parametrize("where", ["while computing", "while writing"])
def test_an_interruption_leaves_no_half_file(model, images, monkeypatch, where):
    def half(tensors, path):
        path.write_bytes(b"half a fi")
        raise KeyboardInterrupt

    def interrupt(*_):
        raise KeyboardInterrupt

    if where == "while writing":
        monkeypatch.setattr(stored_outputs, "save_file", half)
    else:
        monkeypatch.setattr("transfer_utils.techniques.stored_activations.CHUNK", 4)
        seen = passes_through(model)
        model.features[0][0].register_forward_pre_hook(lambda *_: interrupt() if len(seen) == 8 else None)
    with pytest.raises(KeyboardInterrupt):
        ask(model, images)
    assert files() == []


# ---------------------------------------------------------------------- refused


def test_numbers_that_float16_cannot_hold_are_refused(model, images):
    with torch.no_grad():
        model.features[0][1].weight *= 1e7
    with pytest.raises(ValueError, match="do not fit into torch.float16.*dtype=torch.float32"):
        ask(model, images)
    assert files() == []
    assert torch.isfinite(ask(model, images, dtype=torch.float32).values).all()


@pytest.mark.parametrize("variants", ["identity", (), ("identity", "identity")])
def test_variants_are_a_list_of_different_names(model, images, variants):
    with pytest.raises(ValueError, match="list of different names"):
        ask(model, images, variants=variants)


def test_an_unknown_variant_is_answered_with_the_known_ones(model, images):
    with pytest.raises(ValueError, match="no variant 'mirror'.*'horizontal flip'"):
        ask(model, images, variants=("identity", "mirror"))
    with pytest.raises(ValueError, match="'quarter turn' is not stored here.*'both flips'"):
        ask(model, images).only("quarter turn")


def test_turning_images_that_are_not_square_is_refused_flipping_them_is_not(model, images):
    wide = images.with_transform(Wide())
    assert ask(model, wide, cache=False).values.shape == (10, 4, 8, 4, 6)
    with pytest.raises(ValueError, match="16, 24.*cannot be turned: make them square"):
        ask(model, wide, variants=FLIPS_AND_TURNS)


class Wide:
    square = TinyNet().card.preprocess(24)

    def __call__(self, image):
        return self.square(image)[:, :16]


def test_texts_and_random_transforms_are_refused(model, images):
    with pytest.raises(ValueError, match="stored for images"):
        stored_activations(tiny_encoder(), tiny_texts(), 1)
    with pytest.raises(ValueError, match="augments at random"):
        ask(model, images.with_transform(images.transform.augmented(lambda image: image)))
    with pytest.raises(ValueError, match="no data to predict on"):
        ask(model, images.subset([]))
