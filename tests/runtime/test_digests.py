"""Digests of weights and of code: equal for equal ones, different for any difference that counts."""

import functools
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from transfer_utils.runtime.digests import code_digest, weights_digest

START = {"weight": torch.arange(6.0).view(2, 3), "steps": torch.tensor(3), "empty": torch.empty(0)}


def changed(**tensors):
    return weights_digest((START | tensors).items())


@pytest.mark.parametrize(
    "other",
    [
        {"weight": torch.arange(6.0).view(3, 2)},
        {"weight": torch.arange(6).view(2, 3)},
        {"weight": torch.arange(6.0).view(2, 3) + torch.eye(2, 3) * 1e-6},
        {"steps": torch.tensor(4)},
        {"steps": torch.tensor([3])},
        {"more": torch.zeros(1)},
    ],
    ids=["shape", "type", "one number", "0-d", "0-d or (1,)", "one more"],
)
def test_any_difference_changes_the_digest(other):
    assert changed(**other) != changed()


def test_names_and_their_order_count():
    a, b = torch.zeros(2), torch.ones(2)
    digests = {weights_digest(pairs) for pairs in ([("a", a), ("b", b)], [("b", b), ("a", a)], [("a", b), ("b", a)])}
    assert len(digests) == 3


def test_memory_layout_and_gradient_do_not_count():
    transposed = torch.arange(6.0).view(2, 3).T.contiguous().T
    assert not transposed.is_contiguous()
    assert changed(weight=transposed) == changed(weight=nn.Parameter(START["weight"])) == changed()
    images = torch.randn(2, 3, 4, 4)
    assert changed(weight=images) == changed(weight=images.to(memory_format=torch.channels_last))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.bool, torch.complex64])
def test_every_type_can_be_hashed(dtype):
    tensor = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    assert changed(weight=tensor) == changed(weight=tensor.clone()) != changed(weight=tensor.flip(0))


# ----------------------------------------------------------------------- of code


def scaled(factor):
    return lambda x: x * factor


def in_a_cell(text, name="f"):
    """Define a function as a notebook does, in a file whose name is of this process."""
    space = {}
    exec(compile(text, f"/tmp/ipykernel_{len(text)}/1.py", "exec"), space)
    return space[name]


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return x * self.factor


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (scaled(2), scaled(2), True),
        (scaled(2), scaled(3), False),
        (in_a_cell("def f(x): return x + 1"), in_a_cell("def f(x):\n    # why\n    return x + 1"), True),
        (in_a_cell("def f(x): return x + 1"), in_a_cell("def f(x): return x + 2"), False),
        (in_a_cell("def f(x): return [y + 1 for y in x]"), in_a_cell("def f(x): return [y + 2 for y in x]"), False),
        (in_a_cell("def f(x, w=1): return w"), in_a_cell("def f(x, w=2): return w"), False),
        (in_a_cell("def f(x, *, w=1): return w"), in_a_cell("def f(x, *, w=2): return w"), False),
        (functools.partial(max, 1), functools.partial(max, 2), False),
        (Scaled(1), Scaled(2), True),  # what an object holds is in its repr or nowhere
        (max, min, False),
    ],
)
def test_the_digest_of_code_tells_what_a_function_does(one, other, equal):
    assert (code_digest(one) == code_digest(other)) == equal


def test_the_digest_of_code_is_that_of_another_process():
    text = "def f(x): return x in {'a', 'b', 'c', 'd'}"
    script = (
        "from transfer_utils.runtime.digests import code_digest\n"
        f"space = {{}}; exec({text!r}, space); print(code_digest(space['f']))"
    )
    said = {
        subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": seed}, text=True,
                       capture_output=True, check=True).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert said == {code_digest(in_a_cell(text))}


def test_a_list_to_which_a_step_appends_makes_no_other_run_of_it():
    seen = []

    def step(x):
        seen.append(x)

    before = code_digest(step)
    step(1)
    assert code_digest(step) == before
