"""Tiny networks and tiny data, for unit tests and for the processes that they start."""

import functools
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from transfer_utils.data import ImageSplits, LabelledImages, LabelledTexts
from transfer_utils.models.backbones import BackboneCard
from transfer_utils.models.encoders import EncoderCard, TextClassifier
from transfer_utils.runtime.seeding import generator, set_seed
from transfer_utils.runtime.sources import package_files


class TinyNet(nn.Module):
    """A backbone in miniature: stem, one stage with BatchNorm and dropout, head ``fc``."""

    def __init__(self, classes=2, dropout=0.2, seed=0):
        super().__init__()
        set_seed(seed)
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 12, 3), nn.BatchNorm2d(12), nn.ReLU(), nn.Dropout(dropout)),
        )
        self.fc = nn.Linear(12, classes)
        self.card = BackboneCard("tiny", "random", "fc", (0.5,) * 3, (0.5,) * 3, 16)

    def forward(self, images):
        return self.fc(self.features(images).mean((2, 3)))


def tiny_images(count=24, classes=2, seed=0):
    """Return labelled images in memory, 16 px, brighter by class."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    pixels = [np.clip(random.normal(60 + 100 * k / classes, 40, (16, 16, 3)), 0, 255).astype(np.uint8) for k in labels]
    names = tuple(f"class {k}" for k in range(classes))
    return LabelledImages(pixels, torch.from_numpy(labels), names, Image.fromarray)


def tiny_splits(count=24):
    """Return three splits of ``count`` tiny images each."""
    return ImageSplits("tiny", *(tiny_images(count, seed=seed) for seed in range(3)), licence="", attribution="")


@functools.cache
def tokenizer():
    """Return MiniLM's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(Path(package_files("minilm")[0]).parent)


def tiny_encoder(classes=2, layers=2, width=16, seed=0, dropout=0.1, **settings):
    """Return a BERT in miniature with random weights and MiniLM's tokenizer, in ``eval()`` mode."""
    from transformers import BertConfig, BertModel

    set_seed(seed)
    config = BertConfig(
        vocab_size=30522, hidden_size=width, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=2 * width, max_position_embeddings=32, initializer_range=0.2,
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, **settings,
    )  # fmt: skip
    model = TextClassifier(BertModel(config, add_pooling_layer=False), classes)
    model.card = EncoderCard("tiny bert", "random", 32, tokenizer())
    return model.eval()


def tiny_tokens(count=5, length=9, seed=0):
    """Return the tokens of ``count`` texts of different lengths, padded."""
    random = generator(seed, "tokens")
    ids = torch.randint(1000, 30000, (count, length), generator=random)
    mask = (torch.arange(length) < torch.randint(2, length + 1, (count, 1), generator=random)).long()
    mask[0] = 1
    return {"input_ids": ids * mask, "attention_mask": mask}


def tiny_texts(count=24, seed=0, classes=2):
    """Return labelled texts of different lengths, whose first word tells the class."""
    random = np.random.default_rng(seed)
    words = np.array(["a", "film", "was", "with", "some", "of", "that", "and", "very", "much", "as", "it", "is"])
    names = ("bad", "good", "long")[:classes]
    labels = np.arange(count) % classes
    texts = tuple(
        f"{names[k]} {' '.join(random.choice(words, random.integers(1, 14)))} {i}" for i, k in enumerate(labels)
    )
    return LabelledTexts(texts, torch.from_numpy(labels), names)


def tiny_table(count=23, classes=2, width=4, seed=0):
    """Return pairs (vector, label) that a linear layer can learn."""
    labels = torch.arange(count) % classes
    noise = torch.randn(count, width, generator=generator(seed, "table"))
    return TensorDataset(noise + 2 * torch.eye(max(width, classes))[labels, :width], labels)


def linear(outputs=2, width=4, seed=0):
    """Return one linear layer with random weights."""
    set_seed(seed)
    return nn.Linear(width, outputs)


def weights_of(model):
    """Return a copy of every parameter and buffer, by name."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def changed(before, after):
    """Return the names of tensors that are not bit-identical."""
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}
