"""Distillation: equal to torchdistill, the right size at every temperature, and teachers that fit their students."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TinyNet, changed, tiny_encoder, tiny_images, tiny_texts, weights_of
from torch import nn
from torchdistill.losses.mid_level import KDLoss

from transfer_utils import fit, freeze, layer_groups, predict, replace_head, trainable_parameters
from transfer_utils.models.small_networks import small_cnn
from transfer_utils.techniques.distillation import (
    Distillation,
    TransferSet,
    distillation_loss,
    soft_targets,
    teacher_outputs,
)
from transfer_utils.techniques.features import extract_features
from transfer_utils.training.steps import TrainState

START = TrainState(0, 10, 0, 1)


def scores(count=6, classes=5, seed=0, dtype=torch.float64):
    return torch.randn(2, count, classes, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 3


def by_torchdistill(student, teacher, temperature, alpha, labels=None):
    loss = KDLoss("head", "output", "head", "output", temperature=temperature, alpha=alpha)
    return loss({"head": {"output": student}}, {"head": {"output": teacher}}, labels)


def says(logits):
    """Return a model that gives these logits, whatever it is asked."""
    model = nn.Identity()
    model.forward = lambda inputs: logits
    return model


# ---------------------------------------------------------------------------- the loss


@settings(max_examples=40)
@given(st.integers(1, 7), st.integers(2, 6), st.floats(0.5, 20), st.floats(0.01, 1), st.integers(0, 99))
def test_equal_to_torchdistill_with_any_share_of_labels(count, classes, temperature, alpha, seed):
    student, teacher = scores(count, classes, seed)
    labels = torch.arange(count) % classes
    step = Distillation(temperature, share=1 - alpha)
    ours, _ = step(says(student), (None, (labels, teacher)), START)
    torch.testing.assert_close(ours, by_torchdistill(student, teacher, temperature, alpha, labels))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_equal_to_torchdistill_without_labels_which_leaves_the_square_out(temperature):
    student, teacher = scores()
    theirs = by_torchdistill(student, teacher, temperature, alpha=0) * temperature**2
    torch.testing.assert_close(distillation_loss(student, teacher, temperature), theirs)


def test_it_is_zero_where_both_say_the_same_and_positive_elsewhere():
    student, teacher = scores()
    assert distillation_loss(teacher + 3, teacher).abs() < 1e-12  # a constant is no opinion
    assert distillation_loss(student, teacher) > 0.1


def gradient(student, teacher, temperature):
    student = student.clone().requires_grad_()
    distillation_loss(student, teacher, temperature).backward()
    return student.grad


def test_at_high_temperature_the_gradient_is_that_of_matching_centred_logits():
    student, teacher = (rows - rows.mean(1, keepdim=True) for rows in scores(classes=5))
    matching = (student - teacher) / student.shape[1] / len(student)  # (z - v) / N classes, mean over the batch
    errors = [float((gradient(student, teacher, t) - matching).norm() / matching.norm()) for t in (10, 100, 1000)]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 1e-2


def test_the_square_of_the_temperature_keeps_the_size_of_the_gradient():
    student, teacher = scores()
    sizes = [float(gradient(student, teacher, t).norm()) for t in (20, 40, 80)]
    assert max(sizes) < 1.1 * min(sizes)
    without = [size / t**2 for size, t in zip(sizes, (20, 40, 80), strict=True)]
    assert without[0] > 14 * without[2]  # what it would shrink to


@pytest.mark.parametrize("classes", [2, 10])
def test_the_common_bug_mean_is_smaller_by_the_number_of_classes(classes):
    student, teacher = scores(classes=classes)
    mean = F.kl_div((student / 4).log_softmax(1), (teacher / 4).softmax(1), reduction="none").mean() * 16
    torch.testing.assert_close(mean * classes, distillation_loss(student, teacher, 4.0))


@settings(max_examples=30)
@given(st.floats(0.2, 5), st.floats(1.5, 10))
def test_a_higher_temperature_shows_more_of_the_second_best(temperature, factor):
    _, teacher = scores()
    cold, hot = soft_targets(teacher, temperature), soft_targets(teacher, temperature * factor)
    torch.testing.assert_close(hot.sum(1), torch.ones(6, dtype=torch.float64))
    assert torch.equal(cold.argmax(1), hot.argmax(1))
    assert (hot.max(1).values < cold.max(1).values + 1e-12).all()


@pytest.mark.parametrize("temperature", [0, -1.0])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    for use in (lambda: distillation_loss(*scores(), temperature), lambda: Distillation(temperature)):
        with pytest.raises(ValueError, match="temperature must be larger than 0"):
            use()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        Distillation(share=share)


def test_a_teacher_with_other_classes_is_refused():
    with pytest.raises(ValueError, match=r"\(6, 5\), the teacher's \(6, 4\).*same classes, in the same order"):
        distillation_loss(scores(classes=5)[0], scores(classes=4)[0])
    images = tiny_images(8).with_transform(TinyNet().card.preprocess())
    taught = TransferSet(images, torch.randn(8, 3))
    with pytest.raises(ValueError, match="same classes"):
        fit(TinyNet(classes=2), taught, epochs=1, batch_size=4, step=Distillation(), progress="")


def test_a_share_of_one_does_not_look_at_labels_and_a_share_of_zero_not_at_the_teacher():
    student, teacher = scores()
    labels, wrong = torch.arange(6) % 5, torch.full((6,), -7)
    blind = Distillation(share=1.0)(says(student), (None, (wrong, teacher)), START)[0]
    torch.testing.assert_close(blind, distillation_loss(student, teacher))
    deaf = Distillation(share=0.0)(says(student), (None, (labels, -teacher)), START)[0]
    torch.testing.assert_close(deaf, F.cross_entropy(student, labels))


def test_the_step_says_how_often_student_and_teacher_agree():
    student = torch.eye(4)
    teacher = torch.eye(4)[[0, 1, 3, 2]]
    assert Distillation()(says(student), (None, (torch.zeros(4), teacher)), START)[1] == {"agreement": 0.5}


# ------------------------------------------------------------------- taught data sets


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_every_item_goes_with_what_the_teacher_says_of_it(kind):
    if kind == "images":
        data = tiny_images(12).with_transform(TinyNet().card.preprocess())
    else:
        data = tiny_texts(12).with_transform(tiny_encoder().card.preprocess(20))
    teacher = torch.randn(12, 2)
    taught, chosen = TransferSet(data, teacher), [7, 2, 2, 11]
    inputs, (labels, said) = taught.collect(chosen)
    assert torch.equal(said, teacher[chosen])
    assert torch.equal(labels, data.labels[chosen])
    _, (label, row) = taught[7]
    assert label == int(data.labels[7])
    assert torch.equal(row, teacher[7])
    if kind == "images":
        assert torch.equal(inputs[1], data[2][0])
    else:
        assert torch.equal(inputs["input_ids"], data.collect(chosen)[0]["input_ids"])
        assert taught.item_lengths() == data.item_lengths()
    assert len(taught) == 12


def test_as_many_rows_as_items_are_asked_for():
    with pytest.raises(ValueError, match="teacher scored 11 items, the data has 12"):
        TransferSet(tiny_images(12), torch.zeros(11, 2))


@pytest.mark.parametrize(("make", "items", "size"), [(TinyNet, tiny_images, 16), (tiny_encoder, tiny_texts, 20)])
def test_a_student_that_never_sees_a_right_label_comes_to_agree_with_its_teacher(make, items, size):
    student, data = make(), items(48)
    said = 4 * F.one_hot(data.labels).float()
    mislabelled = replace(data, labels=1 - data.labels, transform=student.card.preprocess(size))
    fit(student, TransferSet(mislabelled, said), epochs=8, lr=1e-2, batch_size=8, step=Distillation(), progress="")
    outputs = predict(student, mislabelled, progress="")[0]
    assert (outputs.argmax(1) == said.argmax(1)).float().mean() > 0.8


# ------------------------------------------------------------------- the teacher's outputs


def test_the_teacher_is_asked_once_and_again_when_any_of_its_weights_changed():
    teacher, asked = TinyNet(), []
    data = tiny_images(10).with_transform(teacher.card.preprocess())
    teacher.register_forward_hook(lambda module, inputs, output: asked.append(len(output)))
    first = teacher_outputs(teacher, data, progress="")
    assert sum(asked) == 10
    torch.testing.assert_close(first, predict(teacher, data, progress="")[0])
    asked.clear()
    assert torch.equal(teacher_outputs(teacher, data, progress=""), first)
    assert not asked
    replace_head(teacher, 2, seed=9)
    assert not torch.allclose(teacher_outputs(teacher, data, progress=""), first)
    assert sum(asked) == 10
    teacher_outputs(teacher, data.subset(range(9, -1, -1)), progress="")
    assert sum(asked) == 20  # in another order


def test_outputs_and_features_of_one_teacher_do_not_take_each_other_s_place():
    teacher = TinyNet()
    data = tiny_images(6).with_transform(teacher.card.preprocess())
    features = extract_features(teacher, data, progress=False).values
    assert (features.shape, teacher_outputs(teacher, data, progress="").shape) == ((6, 12), (6, 2))


def test_the_teacher_answers_in_evaluation_mode_and_gets_its_mode_back():
    teacher = TinyNet(dropout=0.9).train()
    data = tiny_images(6).with_transform(teacher.card.preprocess())
    before = weights_of(teacher)
    said = teacher_outputs(teacher, data, progress="")
    assert teacher.training
    assert not changed(before, weights_of(teacher))
    torch.testing.assert_close(said, teacher.eval()(torch.stack([data[i][0] for i in range(6)])).detach())
    assert not said.requires_grad


def test_a_random_transform_or_none_is_refused():
    teacher = TinyNet()
    with pytest.raises(ValueError, match="augments at random"):
        teacher_outputs(teacher, tiny_images(6).with_transform(teacher.card.preprocess().augmented(lambda i: i)))
    with pytest.raises(ValueError, match="no transform"):
        teacher_outputs(teacher, tiny_images(6))


# -------------------------------------------------------------------------- a small student


@pytest.mark.parametrize(("width", "classes"), [(16, 2), (4, 5), (1, 3)])
def test_the_small_network_has_the_shapes_and_parameters_it_says(width, classes):
    model = small_cnn(classes, width)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, classes)
    channels = [3, width, 2 * width, 4 * width, 8 * width]
    body = sum(9 * a * b + 2 * b for a, b in zip(channels, channels[1:], strict=False))
    assert sum(p.numel() for p in model.parameters()) == body + 8 * width * classes + classes
    if width == 16:
        assert round(body, -3) == 98_000
        assert model.features(torch.randn(2, 3, 64, 64)).shape == (2, 128, 4, 4)


def test_the_small_network_has_a_card_like_every_backbone():
    model = small_cnn(2, 4)
    groups = layer_groups(model)
    assert [group.name for group in groups] == ["stem", "stage 1", "stage 2", "stage 3", "head"]
    assert sum(group.count() for group in groups) == sum(p.numel() for p in model.parameters())
    freeze(model)
    replace_head(model, 3)
    assert trainable_parameters(model) == 8 * 4 * 3 + 3
    before = weights_of(model)
    images = tiny_images(8, classes=3).with_transform(model.card.preprocess(32))
    assert images[0][0].shape == (3, 32, 32)
    fit(model, images, epochs=1, lr=1e-2, batch_size=4, progress="")
    assert changed(before, weights_of(model)) == {"head.weight", "head.bias"}


def test_the_seed_decides_the_small_network_s_start():
    first, again, other = (weights_of(small_cnn(2, 4, seed=seed)) for seed in (1, 1, 2))
    assert not changed(first, again)
    assert "features.0.0.weight" in changed(first, other)
