"""How many times faster an epoch is on stored activations than with the whole network, its lower groups frozen.

    python tests/benchmarks/stored_activations.py

EfficientNet-Lite0 on solar cells at 160 px, cut after its blocks 0 to 3; a flip of four is drawn for each cell. The two
ways take turns on the same cells in the same order, so that other programs disturb both alike. Also printed: how far
the losses of the first ten steps lie apart. Asserts nothing.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).parents[2]))

from transfer_utils import data, extract_features, fit, freeze, layer_groups, load_backbone, replace_head, set_profile
from transfer_utils.data.batching import Batched, collect
from transfer_utils.techniques.stored_activations import FLIPS, variant
from transfer_utils.techniques.upper_half import upper_half
from transfer_utils.training.steps import classification_step

CELLS, SIZE, AT, BATCH, TURNS = 320, 160, "stage 4", 32, 3


class Flipped(Batched, Dataset):
    """Images of which one variant is drawn as from stored activations."""

    def __init__(self, images: Dataset):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def collect(self, indices):
        """Return one batch, each image in one of its variants."""
        images, labels = collect(self.images, indices)
        drawn = torch.randint(len(FLIPS), (len(labels),)).tolist()
        return torch.stack([variant(i, FLIPS[d]) for i, d in zip(images, drawn, strict=True)]), labels


def epoch(network: torch.nn.Module, items: Dataset) -> tuple[float, float, torch.Tensor]:
    """Return the seconds of an epoch of training by the clock and of the processor, and the loss of each step."""
    losses = []

    def noted(model, batch, state):
        loss, metrics = classification_step(model, batch, state)
        losses.append(loss.item())
        return loss, metrics

    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)
    began, worked = time.perf_counter(), time.process_time()
    fit(network, items, epochs=1, step=noted, optimizer=optimizer, batch_size=BATCH, progress="")
    return time.perf_counter() - began, time.process_time() - worked, torch.tensor(losses)


def main() -> None:
    """Print seconds, ratio and difference of the losses."""
    set_profile("laptop")
    whole, halved = (replace_head(load_backbone("efficientnet_lite0"), 2) for _ in range(2))
    cells = data.load("elpv").train.sample(CELLS, seed=0).resized(SIZE).with_transform(whole.card.preprocess(SIZE))
    freeze(*layer_groups(whole)[:5])
    began = time.perf_counter()
    stored = extract_features(halved, cells, at=AT, variants=FLIPS, cache=False, progress=False)
    storing, megabytes = time.perf_counter() - began, stored.values.nbytes / 1e6
    upper, flipped, turns = upper_half(halved, AT), Flipped(cells), []
    for _ in range(TURNS):
        turns.append((epoch(whole, flipped), epoch(upper, stored)))
    apart = float((turns[0][0][2] - turns[0][1][2])[:10].abs().max())
    print(
        f"{CELLS} cells, {SIZE} px, {torch.get_num_threads()} threads, cut after {AT!r}: {tuple(stored.values.shape)}"
    )
    print(f"storing {len(FLIPS)} variants: {storing:.1f} s, {megabytes:.0f} MB")
    for kind, place in (("by the clock", 0), ("of the processor", 1)):
        slow, fast = (median(turn[way][place] for turn in turns) for way in (0, 1))
        ratios = [a[place] / b[place] for a, b in turns]
        print(f"an epoch, seconds {kind}: whole network {slow:.1f}, upper half {fast:.1f}; ratio {median(ratios):.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f} over {TURNS} turns)")  # fmt: skip
    print(f"losses of ten steps: at most {apart:.1e} apart (float16), around {float(turns[0][0][2].mean()):.2f}")


if __name__ == "__main__":
    main()
