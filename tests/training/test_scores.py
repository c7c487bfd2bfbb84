"""``fit`` takes any validation: several tasks, a label for each word, masked words, reconstruction."""

import pytest
import torch
import torch.nn.functional as F
from tiny import linear, tiny_table
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from transfer_utils import evaluate, fit, predict
from transfer_utils.data.batching import Batched
from transfer_utils.runtime.seeding import generator


def random(*shape):
    return torch.randn(*shape, generator=generator("scores", *shape))


def train(model, data, step, score, **options):
    settings = {"epochs": 4, "batch_size": 8, "lr": 0.05, "step": step, "score": score, "progress": ""}
    return fit(model, data, data, **settings | options)


def check_best_is_chosen_by_the_score(result, name, sign):
    values = [sign * row[f"validation_{name}"] for row in result.history]
    assert values[result.best_epoch] == max(values)
    assert max(values) > values[0]


class TwoTasks(nn.Module):
    """Two answers from one body, as a dictionary."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict({"defect": linear(outputs=2), "kind": linear(outputs=3, seed=1)})

    def forward(self, inputs):
        return {name: head(inputs) for name, head in self.heads.items()}


class TwoLabels(Dataset):
    inputs, defect = random(24, 4), torch.arange(24) % 2

    def __len__(self):
        return 24

    def __getitem__(self, i):
        return self.inputs[i] + self.defect[i], {"defect": self.defect[i], "kind": self.defect[i] + 1}


def test_several_tasks_at_once():
    def step(model, batch, state):
        inputs, labels = batch
        return sum(F.cross_entropy(scores, labels[name]) for name, scores in model(inputs).items()), {}

    def score(model, data):
        outputs, labels = predict(model, data, batch_size=7, progress="")
        return {name: (outputs[name].argmax(1) == labels[name]).double().mean() for name in outputs}

    model, data = TwoTasks(), TwoLabels()
    check_best_is_chosen_by_the_score(train(model, data, step, score, monitor="kind"), "kind", 1)
    outputs, labels = predict(model, data, batch_size=5, progress="")
    assert outputs["kind"].shape == (24, 3)
    torch.testing.assert_close(outputs["defect"], model(torch.stack([x for x, _ in data]))["defect"].detach())
    assert torch.equal(labels["defect"], TwoLabels.defect)


def test_a_label_for_each_word():
    inputs, labels = random(20, 6, 4), (random(20, 6, 4)[..., 0] > 0).long()
    words = TensorDataset(inputs, (inputs.sum(-1) > 0).long())
    with pytest.raises(ValueError, match="one class number an item"):
        evaluate(linear(), words, progress="")

    def step(model, batch, state):
        return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten()), {}

    def score(model, data):
        logits, labels = predict(model, data, progress="")
        return {"word_accuracy": (logits.argmax(-1) == labels).double().mean()}

    result = train(linear(), words, step, score, monitor="word_accuracy")
    check_best_is_chosen_by_the_score(result, "word_accuracy", 1)
    assert labels.shape == words.tensors[1].shape


class MaskedWords(Dataset, Batched):
    """Sequences that are masked when a batch is made; the label is what stood there, -100 elsewhere."""

    words = torch.randint(1, 5, (16, 7), generator=generator("words"))

    def __len__(self):
        return 16

    def collect(self, indices):
        words = self.words[list(indices)]
        hidden = torch.rand(words.shape) < 0.4
        hidden[:, 0] = True
        return words.masked_fill(hidden, 0), words.masked_fill(~hidden, -100)


def test_masked_words():
    def loss(model, batch):
        return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten(), ignore_index=-100)

    def score(model, data):
        with torch.no_grad():
            return {"perplexity": loss(model.eval(), data.collect(range(16))).exp()}

    model = nn.Sequential(nn.Embedding(5, 8), nn.Linear(8, 5))
    result = train(model, MaskedWords(), lambda m, b, s: (loss(m, b), {}), score, monitor="-perplexity")
    check_best_is_chosen_by_the_score(result, "perplexity", -1)


def test_reconstruction_needs_no_labels():
    inputs = TensorDataset(random(24, 4))

    def step(model, batch, state):
        return F.mse_loss(model(batch[0]), batch[0]), {}

    def score(model, data):
        with torch.no_grad():
            return {"error": F.mse_loss(model.eval()(data.tensors[0]), data.tensors[0])}

    model = nn.Sequential(linear(outputs=2), linear(width=2, outputs=4))
    check_best_is_chosen_by_the_score(train(model, inputs, step, score, monitor="-error"), "error", -1)


def test_the_metric_to_monitor_must_be_one_of_the_score():
    with pytest.raises(ValueError, match="no metric 'accuracy' to monitor; there are recall, and each with '-'"):
        fit(linear(), tiny_table(), tiny_table(), epochs=1, score=lambda model, data: {"recall": 1.0}, progress="")
