"""What training adds to the memory in use, measured in a process of its own.

In one process, whatever ran before leaves memory behind that the next method takes over, and the figures then grow or
shrink with the order of the runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from ..evaluation.cost import measure
from ..models.encoders import load_encoder
from .lora import add_lora

METHODS = ("fine-tuning", "LoRA")


def training_memory_apart(method: str, texts: int = 32, length: int = 16) -> float:
    """Return the MB (10^6 bytes) that three steps in training mode add to an encoder that is in memory already.

    Args:
        method: ``"fine-tuning"``, or ``"LoRA"``: rank 8 beside queries and values.
        texts, length: of the batch, in texts and tokens.

    Raises:
        ValueError: there is no such method.
        RuntimeError: the process failed; the text is what it said.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}; there are {', '.join(METHODS)}.")
    package = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "transfer_utils.techniques.lora_memory", method, str(texts), str(length)]
    environment = {**os.environ, "PYTHONPATH": paths}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if ended.returncode:
        raise RuntimeError(f"The process that measures {method} failed: {ended.stderr}")
    return float(ended.stdout.split()[-1])


def _added(method: str, texts: int, length: int) -> float:
    model = load_encoder()
    if method == "LoRA":
        add_lora(model)
    model.train()
    tokens = {name: torch.ones(texts, length, dtype=torch.long) for name in ("input_ids", "attention_mask")}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
    with measure(torch.device("cpu")) as cost:
        for _ in range(3):
            optimizer.zero_grad()
            model(tokens).logsumexp(1).mean().backward()
            optimizer.step()
    return cost.peak_mb


if __name__ == "__main__":
    print(_added(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
