"""A network cut in two: the halves are the network, and training the upper one is training the network."""

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny import TinyNet, changed, tiny_encoder, tiny_images, weights_of
from torch import nn
from torch.utils.data import Dataset

from transfer_utils import (
    UnfreezingSchedule,
    extract_features,
    fit,
    freeze,
    layer_groups,
    layerwise_lr,
    load_backbone,
    replace_head,
)
from transfer_utils.data.batching import Batched, collect
from transfer_utils.models.small_networks import small_cnn
from transfer_utils.techniques.stored_activations import FLIPS, variant
from transfer_utils.techniques.upper_half import halves, upper_half
from transfer_utils.training.steps import classification_step

NETWORKS = {
    "tiny": TinyNet,
    "small_cnn": lambda: small_cnn(2),
    "efficientnet_lite0": lambda: replace_head(load_backbone("efficientnet_lite0"), 2),
    "resnet18": lambda: load_backbone("resnet18", pretrained=False),
    "mobilenet_v3_small": lambda: load_backbone("mobilenet_v3_small", pretrained=False),
    "timm/resnet10t": lambda: load_backbone("timm/resnet10t", pretrained=False),
}


def pointers(network):
    return {value.data_ptr() for value in network.state_dict().values()}


@pytest.fixture(params=NETWORKS)
def model(request):
    return NETWORKS[request.param]().eval()


# ---------------------------------------------------------------- the same network


def test_the_halves_one_after_the_other_are_the_network_at_any_group(model):
    images = torch.randn(2, 3, 64, 64)
    names = dict(model.named_parameters(remove_duplicate=False))
    groups = layer_groups(model)
    for count in sorted({1, len(groups) // 2, len(groups) - 1}):
        lower, upper = halves(model, count)
        with torch.no_grad():
            torch.testing.assert_close(upper(lower(images)), model(images))
        above = {name: p for group in groups[count:] for name, p in group.parameters.items()}
        assert dict(upper.named_parameters()).keys() == above.keys()
        assert all(p is names[name] for name, p in upper.named_parameters()), "parameters are shared, not copied"
        assert not set(upper.parameters()) & set(lower.parameters())
        shared = {name for name, value in model.state_dict().items() if value.data_ptr() in pointers(upper)}
        assert shared == upper.state_dict().keys(), "and so are the statistics of BatchNorm"
        if count < len(groups) - 1:
            assert [list(g.parameters) for g in layer_groups(upper)] == [list(g.parameters) for g in groups[count:]]
            assert [group.name for group in layer_groups(upper)] == [group.name for group in groups[count:]]


def test_a_group_is_named_or_counted():
    model = TinyNet()
    named, counted = upper_half(model, "stage 1"), upper_half(model, 2)
    assert list(named.state_dict()) == list(counted.state_dict()) == ["fc.weight", "fc.bias"]
    assert list(upper_half(model, "stem").state_dict())[0] == "features.1.0.weight"


def test_cutting_leaves_the_network_and_the_random_numbers_as_they_were():
    model = TinyNet().train()
    model.features[0].eval()
    freeze(model.features[0])
    before, modes = weights_of(model), {name: m.training for name, m in model.named_modules()}
    torch.manual_seed(5)
    halves(model, "stem")
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    assert not changed(before, weights_of(model))
    assert modes == {name: m.training for name, m in model.named_modules()}


def test_a_copy_of_a_half_is_a_network_of_its_own():
    model = TinyNet()
    upper = upper_half(model, "stem")
    other = copy.deepcopy(upper)
    with torch.no_grad():
        other.fc.bias += 1
        inputs = torch.randn(2, 8, 3, 3)
        torch.testing.assert_close(other.eval()(inputs), upper.eval()(inputs) + 1)
    assert other.card == model.card


# --------------------------------------------------------- training is the same


class FlippedImages(Batched, Dataset):
    """Images of which one variant is drawn as from stored activations, for training the whole network."""

    def __init__(self, images, variants):
        self.images, self.variants = images, variants

    def __len__(self):
        return len(self.images)

    def collect(self, indices):
        images, labels = collect(self.images, indices)
        drawn = torch.randint(len(self.variants), (len(labels),)).tolist()
        return torch.stack([variant(i, self.variants[d]) for i, d in zip(images, drawn, strict=True)]), labels


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9)


def losses_of(model, network, data, optimizer, epochs, batch_size):
    """Train and return the loss of every step; ``network`` is ``model`` or its upper half."""
    losses = []

    def noted(network, batch, state):
        loss, metrics = classification_step(network, batch, state)
        losses.append(loss.item())
        return loss, metrics

    parameters = optimizer([p for p in network.parameters() if p.requires_grad])
    fit(network, data, epochs=epochs, step=noted, optimizer=parameters, batch_size=batch_size, progress="")
    return torch.tensor(losses), weights_of(model)


def whole_network(model, images, at, *options):
    """Train the whole network, its lower groups frozen."""
    freeze(*layer_groups(model)[:at])
    return losses_of(model, model, FlippedImages(images, FLIPS), *options)


def half_network(model, images, at, dtype, *options):
    """Train the upper half on stored activations."""
    stored = extract_features(model, images, at=at, variants=FLIPS, dtype=dtype, progress=False)
    return losses_of(model, upper_half(model, at), stored, *options)


@pytest.mark.parametrize(
    ("dtype", "optimizer", "tolerance"),
    [(torch.float32, adamw, 1e-5), (torch.float32, momentum, 1e-5), (torch.float16, momentum, 1e-3)],
)
@pytest.mark.parametrize("at", [1, 2])
def test_training_on_stored_activations_is_training_with_the_lower_groups_frozen(at, dtype, optimizer, tolerance):
    """Adam's first steps follow the sign of the gradient, so what float16 rounds off a tiny one counts in full."""
    images, before = tiny_images(24).with_transform(TinyNet().card.preprocess(24)), weights_of(TinyNet())
    expected, whole = whole_network(TinyNet(), images, at, optimizer, 3, 5)
    found, halved = half_network(TinyNet(), images, at, dtype, optimizer, 3, 5)
    assert len(found) == 15
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    assert expected[0] - expected[-1] > 10 * tolerance, "it learns, or nothing was compared"
    for name in whole:
        torch.testing.assert_close(halved[name], whole[name], rtol=0, atol=10 * tolerance)
    moved = changed(before, halved)
    lower = {name for name in before if name.startswith(("features.0", "features.1")[:at])}
    assert not moved & lower, "the lower half stays as it is"
    above = {name for name in before if name not in lower}
    assert moved == above, "all above trains, BatchNorm and its statistics too"


def test_the_same_for_efficientnet_lite0_after_its_first_four_blocks():
    """What float16 rounds off is 2e-4 in the first loss; BatchNorm over few images lets it grow from step to step."""

    def make():
        return replace_head(load_backbone("efficientnet_lite0"), 2)

    def slowly(parameters):
        return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)

    images = tiny_images(24).with_transform(make().card.preprocess(64))
    expected, _ = whole_network(make(), images, 5, slowly, 4, 8)
    assert expected[0] - expected[9] > 0.05, "it learns, or nothing was compared"
    for dtype, first, tolerance in ((torch.float32, 1e-5, 1e-3), (torch.float16, 1e-3, 1e-2)):
        found, _ = half_network(make(), images, "stage 4", dtype, slowly, 4, 8)
        assert len(found) == 12
        torch.testing.assert_close(found[0], expected[0], rtol=0, atol=first)
        torch.testing.assert_close(found[:10], expected[:10], rtol=0, atol=tolerance)


# ------------------------------------------------- freezing, rates and heads above


@pytest.mark.parametrize("name", ["small_cnn", "efficientnet_lite0", "resnet18"])
def test_rates_by_depth_are_those_of_the_same_groups_in_the_network(name):
    model = NETWORKS[name]()
    whole, above = layerwise_lr(model, 1e-2, 0.5), layerwise_lr(upper_half(model, 2), 1e-2, 0.5)
    assert [group["lr"] for group in above] == [group["lr"] for group in whole[2:]]
    for found, expected in zip(above, whole[2:], strict=True):
        assert [id(p) for p in found["params"]] == [id(p) for p in expected["params"]]


@pytest.mark.parametrize("name", ["small_cnn", "efficientnet_lite0", "resnet18"])
def test_an_unfreezing_schedule_counts_from_the_head_as_in_the_network(name):
    model = NETWORKS[name]()
    upper, schedule = upper_half(model, 1), UnfreezingSchedule({0: 1, 1: 3})
    groups = layer_groups(model)
    for epoch, learning in ((0, 1), (1, 3)):
        schedule.apply(upper, epoch)
        upper.train()
        assert [all(p.requires_grad for p in g.parameters.values()) for g in groups] == [
            place == 0 or place >= len(groups) - learning for place in range(len(groups))
        ], "the groups below the cut are left alone"
    norms = [m for m in upper.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert {norm.training for norm in norms} == {True, False}, "what is frozen evaluates, BatchNorm too"


def test_gradual_unfreezing_trains_through_fit_and_ends_in_the_network():
    model = small_cnn(2)
    images = tiny_images(12).with_transform(model.card.preprocess(32))
    before = weights_of(model)
    stored = extract_features(model, images, at="stem", variants=FLIPS, progress=False)
    upper = upper_half(model, "stem")
    optimizer = torch.optim.AdamW(layerwise_lr(upper, 1e-2))
    schedule = UnfreezingSchedule({0: 1})
    fit(upper, stored, epochs=1, batch_size=4, optimizer=optimizer, at_epoch_start=schedule.apply, progress="")
    assert changed(before, weights_of(model)) == {"head.weight", "head.bias"}
    schedule = UnfreezingSchedule({0: 2})
    fit(upper, stored, epochs=1, batch_size=4, optimizer=optimizer, at_epoch_start=schedule.apply, progress="")
    last = {name for name in before if name.startswith(("features.3", "head"))}
    assert changed(before, weights_of(model)) == last


def test_validation_and_the_best_weights_work_as_with_any_network():
    model = TinyNet()
    train, validation = (tiny_images(12, seed=s).with_transform(model.card.preprocess()) for s in (0, 1))
    stored = [extract_features(model, part, at=1, progress=False) for part in (train, validation)]
    result = fit(upper_half(model, 1), *stored, epochs=3, batch_size=4, lr=1e-2, progress="")
    with torch.no_grad():
        scores = model.eval()(torch.stack([image for image, _ in validation]))
    found = (scores.argmax(1) == validation.labels).double().mean().item()
    assert result.best["validation_accuracy"] == pytest.approx(found), "the weights of the best epoch are in model"


def test_dropout_that_belongs_to_the_head_drops_in_the_upper_half():
    class DropsBeforeItsHead(TinyNet):
        def __init__(self):
            super().__init__(dropout=0.0)
            self.drop = nn.Dropout(0.5)  # after fc, so in the group of the head: freezing what is below keeps it awake

        def forward(self, images):
            return self.fc(self.drop(self.features(images).mean((2, 3))))

    lower, upper = halves(DropsBeforeItsHead(), "stage 1")
    activations = lower.eval()(torch.randn(2, 3, 24, 24))
    upper.train()
    assert not torch.equal(upper(activations), upper(activations))
    upper.eval()
    assert torch.equal(upper(activations), upper(activations))


# -------------------------------------------------------------------- refused


class Skipping(nn.Module):
    """A network in which the stem is needed again at the end."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1))
        self.fc = nn.Linear(4, 2)
        self.card = TinyNet().card

    def forward(self, images):
        low = self.features[0](images)
        return self.fc((low + self.features[1](low)).mean((2, 3)) * low.mean((2, 3)))


class Residual(Skipping):
    """A network in which the last layer of the stem is needed twice, and no more."""

    def forward(self, images):
        low = self.features[0](images)
        return self.fc((low + self.features[1](low)).mean((2, 3)))


class Deciding(Skipping):
    """A network whose way depends on what it sees."""

    def forward(self, images):
        low = self.features[0](images)
        return self.fc((self.features[1](low) if low.mean() > 0 else low).mean((2, 3)))


class Dropping(Skipping):
    """A network that drops outside any module, in training only."""

    def forward(self, images):
        return self.fc(F.dropout(self.features(images).mean((2, 3)), training=self.training))


class Shifting(Skipping):
    """A network that changes the image before its first layer, which an upper half would do once more."""

    def forward(self, images):
        return self.fc(self.features(images + 1).mean((2, 3)))


class Backwards(Skipping):
    """A network whose groups do not run in the order of their numbers."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(3, 4, 3))

    def forward(self, images):
        return self.fc(self.features[0](self.features[1](images)).mean((2, 3)))


@pytest.mark.parametrize(
    ("make", "at", "reason"),
    [
        (lambda: load_backbone("timm/vit_tiny_patch16_224", pretrained=False), 3, "size of tensor a .198."),
        (lambda: load_backbone("vit_b_32", pretrained=False), 3, "not enough values to unpack"),
        (Backwards, "stem", "an upper layer comes before all lower ones"),
        (Shifting, "stem", "do not give what the network gives"),
    ],
    ids=["timm vit", "torchvision vit", "backwards", "shifting"],
)
def test_a_network_that_cannot_be_cut_is_refused_with_what_to_do(make, at, reason):
    with pytest.raises(ValueError, match=f"cannot be cut above .*{reason}.*Cut it elsewhere.*freeze\\(\\*layer_gr"):
        upper_half(make(), at)


@pytest.mark.parametrize("make", [Skipping, Residual, Deciding, Dropping])
def test_what_happens_between_the_layers_happens_in_the_upper_half(make):
    model = make().eval()
    lower, upper = halves(model, "stem")
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(upper(lower(images)), model(images))


@pytest.mark.parametrize("at", ["head", "stage 9", 0, 3, -1, 1.0, None])
def test_a_place_that_is_not_there_is_answered_with_those_that_are(at):
    with pytest.raises(ValueError, match="cannot be cut at .*'stem', 'stage 1', or how many groups are below, 1 to 2"):
        upper_half(TinyNet(), at)


def test_an_encoder_of_texts_is_refused():
    with pytest.raises(ValueError, match="does not read images"):
        upper_half(tiny_encoder(), 1)
