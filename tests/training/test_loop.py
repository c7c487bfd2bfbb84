"""The training loop: what it averages, which weights it keeps, when it stops, what it refuses."""

import contextlib
import random

import numpy as np
import pytest
import runs
import torch
import torch.nn.functional as F
from runs import run
from tiny import TinyNet, changed, linear, tiny_encoder, tiny_images, tiny_table, tiny_texts, weights_of
from torch import nn
from torch.utils.data import Subset, TensorDataset

from transfer_utils import UnfreezingSchedule, evaluate, fit, freeze, predict
from transfer_utils.data.batching import item_lengths
from transfer_utils.runtime.seeding import set_seed
from transfer_utils.training.batches import TrainingBatches
from transfer_utils.training.rates import constant, one_cycle, slanted_triangular
from transfer_utils.training.steps import TrainState, classification_step


def standing_still(model):
    return torch.optim.SGD(model.parameters(), lr=0.0)


def quick_fit(model=None, train=None, validation=None, **options):
    settings = {"epochs": 1, "batch_size": 5, "progress": ""} | options
    return fit(model or linear(), tiny_table() if train is None else train, validation, **settings)


# --------------------------------------------------------------------- averages


def test_the_training_loss_is_the_mean_over_items_with_an_uneven_last_batch():
    model, table = linear(), tiny_table(22)
    inputs, labels = table.tensors
    losses = F.cross_entropy(model(inputs), labels, reduction="none").detach()
    result = quick_fit(model, table, optimizer=standing_still(model))
    assert result.history[0]["train_loss"] == pytest.approx(float(losses.mean()), abs=1e-6)
    right = (model(inputs).argmax(1) == labels).float().mean()
    assert result.history[0]["train_accuracy"] == pytest.approx(float(right), abs=1e-6)
    order = TrainingBatches(table, 5, 0, 0).order
    mean_of_means = torch.stack([losses[order[i : i + 5]].mean() for i in range(0, 22, 5)]).mean()
    assert abs(float(mean_of_means - losses.mean())) > 1e-4  # the common bug would show here


def test_the_validation_loss_is_the_mean_over_items():
    model, table = linear(), tiny_table(23)
    scores = evaluate(model, table, batch_size=10)
    expected = F.cross_entropy(model(table.tensors[0]), table.tensors[1]).item()
    assert scores["loss"] == pytest.approx(expected, abs=1e-6)


def test_predictions_come_in_the_order_of_the_data_for_any_batch_size():
    model, images = TinyNet(), tiny_images(7).with_transform(TinyNet().card.preprocess())
    model.train()
    outputs = [predict(model, images, batch_size=size) for size in (1, 3, 50)]
    assert model.training
    with torch.no_grad():
        expected = model.eval()(torch.stack([image for image, _ in images]))
    for logits, labels in outputs:
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(labels, images.labels)


# ------------------------------------------------------------- the best weights


class Played:
    """Give a linear model the quality written for each epoch: the share of items that it gets right."""

    def __init__(self, *qualities):
        self.qualities = qualities

    def __call__(self, model, epoch):
        with torch.no_grad():
            model.weight.zero_()
            model.bias.copy_(torch.tensor([0.0, self.qualities[epoch]]))


VALIDATION = TensorDataset(torch.zeros(10, 4), torch.tensor([1] * 9 + [0]))  # bias towards class 1 gives .9, else .1


def play(*qualities, **options):
    model = linear()
    result = quick_fit(model, VALIDATION, VALIDATION, epochs=len(qualities), optimizer=standing_still(model),
                       at_epoch_start=Played(*qualities), **options)  # fmt: skip
    return float(model.bias[1].detach()), result


def test_the_model_has_the_weights_that_did_best_on_validation():
    bias, result = play(-1.0, 2.0, -3.0)
    assert (bias, result.best_epoch, len(result.history)) == (2.0, 1, 3)
    assert [row["validation_accuracy"] for row in result.history] == pytest.approx([0.1, 0.9, 0.1])


def test_of_equally_good_epochs_the_first_is_kept():
    assert play(-1.0, 2.0, 3.0)[0] == 2.0


def test_a_metric_with_a_minus_is_better_when_smaller():
    bias, result = play(1.0, 2.2, 9.0, monitor="-loss")  # ln 9 = 2.2 has the least cross-entropy
    assert (bias, result.best_epoch) == (pytest.approx(2.2), 1)


def test_without_validation_the_last_weights_stay():
    model = linear()
    result = quick_fit(model, VALIDATION, epochs=3, optimizer=standing_still(model), at_epoch_start=Played(1, 2, 3))
    assert (model.bias[1].item(), result.best_epoch) == (3.0, 2)
    assert not any(name.startswith("validation") for name in result.history[0])


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 6), (None, 7)])
def test_training_stops_after_so_many_epochs_without_a_better_one(patience, epochs):
    bias, result = play(-1.0, 0.0, -1.0, 1.0, -1.0, -1.0, -1.0, patience=patience, monitor="-loss")
    assert len(result.history) == epochs
    assert result.steps == 2 * epochs
    assert bias == (0.0 if patience == 1 else 1.0)


def test_an_unknown_metric_to_monitor_is_refused_with_what_there_is():
    with pytest.raises(
        ValueError, match="no metric 'precision' to monitor.*loss, accuracy, balanced_accuracy, f1, auc"
    ):
        play(1.0, monitor="precision")


def test_a_metric_that_is_not_a_number_cannot_be_monitored():
    one_class = TensorDataset(torch.zeros(4, 4), torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="validation auc is not a number.*class is absent"):
        quick_fit(train=tiny_table(), validation=one_class, monitor="auc")


# ----------------------------------------------------------- steps and rates


def test_rates_follow_the_schedule_and_keep_their_ratio():
    model, seen = linear(), []

    def step(model, batch, state):
        seen.append((state.progress, *(group["lr"] for group in optimizer.param_groups)))
        return classification_step(model, batch, state)

    groups = [{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 1.0}]
    optimizer = torch.optim.SGD(groups)
    quick_fit(model, tiny_table(20), epochs=2, step=step, optimizer=optimizer, schedule=one_cycle)
    assert [progress for progress, _, _ in seen] == pytest.approx([i / 8 for i in range(8)])
    for progress, slow, fast in seen:
        assert (slow, fast) == pytest.approx((0.1 * one_cycle(progress), one_cycle(progress)))


def test_one_cycle_rises_then_falls_and_slanted_triangles_are_those_of_ulmfit():
    points = [one_cycle(i / 100) for i in range(101)]
    assert (points[0], points[30], points[100]) == pytest.approx((0.04, 1, 1e-4))
    assert points[:31] == sorted(points[:31])
    assert points[30:] == sorted(points[30:], reverse=True)
    steps, cut, ratio = 200, 20, 32
    for t in range(steps + 1):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / 0.1 - 1))  # equation 3
        assert slanted_triangular(t / steps) == pytest.approx((1 + p * (ratio - 1)) / ratio)
    assert constant(0.3) == 1


def test_an_auxiliary_head_counts_four_tenths():
    both = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    loss, _ = classification_step(lambda _: both, (None, torch.tensor([1])), TrainState(0, 1, 0, 1))
    one, other = (F.cross_entropy(logits, torch.tensor([1])) for logits in both)
    assert float(loss) == pytest.approx(float(one + 0.4 * other))


def test_fit_learns_and_leaves_the_model_in_evaluation_mode():
    model, table = linear(), tiny_table(40)
    result = quick_fit(model, table, epochs=8, lr=0.1)
    assert result.history[-1]["train_loss"] < 0.3 < result.history[0]["train_loss"]
    assert not model.training
    assert (result.steps, [row["epoch"] for row in result.history]) == (64, list(range(8)))


# ------------------------------------------------------ the same run, the same weights


@pytest.fixture(scope="module")
def reference():
    return run()[0]


def test_the_weights_do_not_depend_on_what_ran_before(reference):
    torch.rand(5)
    assert not changed(reference, run()[0])


def test_worker_processes_give_the_same_weights(reference):
    assert not changed(reference, run(workers=2)[0])


def test_another_seed_gives_other_weights(reference):
    assert changed(reference, run(seed=1)[0])


def test_augmentation_differs_from_epoch_to_epoch(monkeypatch):
    seen, real = [], runs.shaken
    monkeypatch.setattr(runs, "shaken", lambda image: seen.append(real(image).tobytes()) or real(image))
    run(epochs=2)
    assert len(seen) == len(set(seen)) == 44


@pytest.mark.parametrize("ends", [True, False])
def test_random_numbers_go_on_where_they_stood(ends):
    model, table = linear(), tiny_table()

    def drawn(seed, before=lambda: None):
        set_seed(seed)
        with contextlib.suppress(FloatingPointError):
            before()
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    def training():
        quick_fit(model, table, table, step=classification_step if ends else diverging)

    assert [drawn(seed, training) for seed in (1, 2)] == [drawn(seed) for seed in (1, 2)]


def diverging(model, batch, state):
    return model(batch[0]).sum() * float("nan"), {}


def test_worker_processes_give_the_same_predictions():
    model, images = TinyNet(), tiny_images(9).with_transform(TinyNet().card.preprocess())
    alone, helped = (predict(model, images, batch_size=4, workers=workers, progress="") for workers in (0, 2))
    assert torch.equal(alone[0], helped[0])
    assert torch.equal(alone[1], helped[1])


def test_predicting_draws_no_random_number():
    model, table = linear(), tiny_table()
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    predict(model, table, progress="")
    assert torch.equal(torch.rand(3), expected)


def test_a_subset_of_texts_is_batched_as_the_texts_are():
    model, texts = tiny_encoder(), tiny_texts(20)
    texts = texts.with_transform(model.card.preprocess(24))
    chosen = [3, 17, 4, 11, 8, 2]
    part, same = Subset(texts, chosen), texts.subset(chosen)
    result = fit(model, part, part, epochs=1, batch_size=3, progress="")
    assert result.steps == 2
    expected = predict(model, same, progress="")
    for values, wanted in zip(predict(model, part, progress=""), expected, strict=True):
        torch.testing.assert_close(values, wanted)
    assert item_lengths(part) == same.item_lengths()


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_inputs_that_are_not_numbers_are_named_not_the_learning_rate(bad):
    inputs, labels = (tensor.clone() for tensor in tiny_table().tensors)
    inputs[7, 2] = bad
    table = TensorDataset(inputs, labels)
    with pytest.raises(ValueError, match="batch of step . holds NaN or infinite values. Look at the data"):
        quick_fit(train=table)
    with pytest.raises(ValueError, match="inputs are NaN or infinite. Look at the data"):
        predict(linear(), table, progress="")


def test_labels_with_fractions_are_refused_in_words():
    inputs, labels = tiny_table().tensors
    message = r"Labels must be integers.*torch.float32. labels.long\(\)"
    with pytest.raises(ValueError, match=message):
        quick_fit(train=TensorDataset(inputs, labels.float()))
    with pytest.raises(ValueError, match=message):
        evaluate(linear(), TensorDataset(inputs, labels.float()), progress="")


def test_patience_without_validation_is_refused():
    with pytest.raises(ValueError, match="patience needs validation data"):
        quick_fit(patience=2)


def test_outputs_that_do_not_fit_together_are_refused_in_words():
    class Growing(nn.Module):
        def forward(self, inputs):
            return torch.zeros(len(inputs), len(inputs))

    with pytest.raises(ValueError, match="different shapes.*Pad all items to one length"):
        predict(Growing(), tiny_table(23), batch_size=5, progress="")


def test_where_every_epoch_is_infinitely_bad_the_first_is_kept():
    model = linear()
    scores = {"monitor": "-loss", "score": lambda model, data: {"loss": float("inf")}}
    result = quick_fit(model, VALIDATION, VALIDATION, epochs=2, optimizer=standing_still(model),
                       at_epoch_start=Played(1.0, 2.0), **scores)  # fmt: skip
    assert (result.best_epoch, model.bias[1].item()) == (0, 1.0)


def test_a_head_of_another_width_is_refused_in_words():
    message = "features of another width than it takes.*replace_head"
    with pytest.raises(ValueError, match=message):
        quick_fit(linear(width=5))
    with pytest.raises(ValueError, match=message):
        predict(linear(width=5), tiny_table(), progress="")


def test_a_loss_that_is_not_a_number_stops_the_run_with_advice():
    with pytest.raises(FloatingPointError, match="loss became nan at step 1: lower the learning rate"):
        quick_fit(step=lambda model, batch, state: (model(batch[0]).sum() * (float("nan") if state.step else 1), {}))


def test_a_model_that_is_frozen_as_a_whole_is_refused():
    model = TinyNet()
    freeze(model)
    with pytest.raises(ValueError, match=r"Every parameter is frozen.*unfreeze\(\.\.\.\)"):
        quick_fit(model)


def test_a_schedule_that_freezes_everything_is_refused():
    with pytest.raises(ValueError, match="Every parameter is frozen"):
        quick_fit(at_epoch_start=lambda model, epoch: freeze(model))


def test_a_schedule_needs_the_layer_groups_of_a_backbone():
    with pytest.raises(TypeError, match="has no card"):
        quick_fit(at_epoch_start=UnfreezingSchedule({0: 1}).apply)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": tiny_table(0)}, "training data is empty"),
        ({"validation": tiny_table(0)}, "no data to predict on"),
        ({"batch_size": 0}, "batch size must be 1 or more, not 0"),
        ({"epochs": 0}, "epochs must be 1 or more, not 0"),
    ],
)
def test_nothing_to_learn_from_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        quick_fit(**options)


@pytest.mark.parametrize("labels", [[0, 1, 2, 1], [0, 1, -1, 1]])
def test_a_label_outside_the_range_is_named_in_fit_and_evaluate(labels):
    table = TensorDataset(torch.zeros(4, 4), torch.tensor(labels))
    message = "Labels run from .* but the model has 2 outputs, for labels 0 to 1. Replace the head or renumber"
    model = linear()
    before = weights_of(model)
    with pytest.raises(ValueError, match=message):
        quick_fit(model, table, batch_size=4)
    with pytest.raises(ValueError, match=message):
        evaluate(model, table)
    assert not changed(before, weights_of(model))


def test_scores_that_are_not_numbers_are_refused():
    model = linear()
    nn.init.constant_(model.weight, float("nan"))
    with pytest.raises(ValueError, match="NaN or infinite: training diverged"):
        evaluate(model, tiny_table())
