"""Tasks in small files: put on the same body they predict the same, on any other they are refused."""

import copy
import json
import subprocess
import sys
from functools import partial

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import TinyNet, changed, tiny_encoder, tiny_tokens, weights_of
from torch import nn

from transfer_utils import (
    add_adapters,
    add_lora,
    load_encoder,
    load_task,
    mlp_head,
    replace_head,
    save_task,
    switch_task,
)
from transfer_utils.runtime.files import checkout
from transfer_utils.techniques.adapter_weights import TaskMismatch, body_hash, task_weights
from transfer_utils.techniques.lora import lora_layers

ROOT = checkout()
TOKENS = tiny_tokens(seed=5)
INSERT = {"lora": lambda model: add_lora(model, 3), "adapters": lambda model: add_adapters(model, 4)}


def trained(model, seed=0):
    """Change all that can learn, as training would."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += torch.randn_like(parameter) / 5
    return model.eval()


def state(model):
    """Everything that a refusal must leave alone."""
    modules = [(name, type(module)) for name, module in model.named_modules()]
    return modules, [p.requires_grad for p in model.parameters()], getattr(model, "task_settings", None)


def refused(model, path, error, match):
    before, weights, model_before = state(model), weights_of(model), copy.deepcopy(model)
    with pytest.raises(error, match=match):
        load_task(model, path)
    assert state(model) == before
    assert not changed(weights, weights_of(model))
    assert torch.equal(model(TOKENS), model_before(TOKENS))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "films.safetensors"


# ------------------------------------------------------------------- there and back again

IN_ANOTHER_PROCESS = """
import sys, torch
from safetensors.torch import load_file, save_file
from transfer_utils import load_encoder, load_task
torch.set_num_threads(1)
given, *tasks, answer = sys.argv[1:]
with torch.no_grad():
    said = [load_task(load_encoder("minilm"), task).eval()(load_file(given)) for task in tasks]
save_file(dict(zip(tasks, said)), answer)
"""


def test_a_fresh_process_predicts_the_same_to_the_last_bit_from_files_under_two_megabytes(tmp_path):
    minilm, given, answer, said = load_encoder("minilm"), tmp_path / "given", tmp_path / "answer", {}
    for method, insert in {"lora": lambda m: add_lora(m, 8), "adapters": lambda m: add_adapters(m, 32)}.items():
        model = trained(insert(replace_head(copy.deepcopy(minilm), 3)))
        save_task(model, tmp_path / method)
        assert (tmp_path / method).stat().st_size < 2e6
        with torch.no_grad():
            said[str(tmp_path / method)] = model(TOKENS)
    save_file(TOKENS, given)
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, *map(str, (given, *said, answer))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not changed(said, load_file(answer))


@pytest.mark.parametrize("method", INSERT)
def test_the_file_is_safetensors_and_holds_the_adapter_parameters_and_the_head_only(path, method):
    model = trained(INSERT[method](tiny_encoder()))
    save_task(model, path)
    with safe_open(path, framework="pt") as file:
        names, notes = set(file.keys()), file.metadata()
    assert names == {name for name, p in model.named_parameters() if p.requires_grad}
    assert notes["base"] == "tiny bert"
    assert notes["body"] == body_hash(model)
    assert json.loads(notes["settings"])["method"] == method
    size = int.from_bytes(path.read_bytes()[:8], "little")  # safetensors: length of the header, the header, numbers
    assert path.read_bytes()[8:9] == b"{"
    assert path.stat().st_size == 8 + size + 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_a_task_of_a_network_for_images_comes_back_too(path):
    model = trained(add_adapters(TinyNet(classes=4), 2, at=["features.1"]))
    save_task(model, path)
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(load_task(TinyNet(classes=2), path).eval()(images), model(images))


def test_a_task_with_an_mlp_head_comes_back_on_a_fresh_body(path):
    model = trained(add_lora(replace_head(tiny_encoder(), 3, partial(mlp_head, hidden=5, dropout=0.25)), 3))
    save_task(model, path)
    loaded = load_task(tiny_encoder(), path)
    assert torch.equal(loaded.eval()(TOKENS), model(TOKENS))
    assert repr(loaded.head) == repr(model.head)


@pytest.mark.parametrize(
    "head", [nn.Linear(16, 2, bias=False), nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 2))], ids=["no bias", "norm"]
)
def test_a_head_that_the_file_could_not_describe_is_refused_when_it_is_saved(path, head):
    model = add_lora(replace_head(tiny_encoder(), 2, lambda *_: head), 3)
    with pytest.raises(ValueError, match="linear_head or mlp_head"):
        save_task(model, path)
    assert not path.exists()


def test_a_task_may_be_loaded_over_another_one(path):
    model = trained(add_lora(tiny_encoder(), 3), seed=1)
    said = model(TOKENS)
    save_task(model, path)
    trained(model, seed=2)
    assert not torch.equal(model(TOKENS), said)
    assert torch.equal(load_task(model, path)(TOKENS), said)


# ------------------------------------------------------------------------------- switching


@pytest.mark.parametrize("method", INSERT)
def test_switching_tasks_leaves_every_tensor_of_the_body_bit_identical(method):
    model = trained(INSERT[method](tiny_encoder()))
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    tasks, said = [], []
    for seed in range(3):
        trained(model, seed)
        tasks.append(task_weights(model))
        said.append(model(TOKENS))
    before, fingerprint, plain = weights_of(model), body_hash(model), weights_of(tiny_encoder())
    for number in (0, 1, 2, 0, 2):
        switch_task(model, tasks[number])
        assert torch.equal(model(TOKENS), said[number])
        assert changed(before, weights_of(model)) <= learns
        assert body_hash(model) == fingerprint
    bodies = {name.replace(".base.", "."): tensor for name, tensor in weights_of(model).items() if name not in learns}
    assert bodies.keys() <= plain.keys()
    assert all(torch.equal(tensor, plain[name]) for name, tensor in bodies.items())


def test_a_task_in_memory_is_a_copy():
    model = trained(add_lora(tiny_encoder(), 3))
    task = task_weights(model)
    kept = {name: tensor.clone() for name, tensor in task.items()}
    trained(model, seed=7)
    assert not changed(kept, task)


def test_the_hash_of_the_body_changes_with_any_of_it_and_not_with_the_task():
    model = add_adapters(TinyNet(), 2, at=["features.1"])
    hashes = [body_hash(model), body_hash(trained(model))]
    model.features[0][1].running_mean[3] += 1e-6
    hashes.append(body_hash(model))
    model.features[0][0].weight.data[0, 0, 0, 0] += 1e-6
    hashes.append(body_hash(model))
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


# --------------------------------------------------------------------------------- refused


def test_a_file_for_another_body_is_refused(path):
    save_task(add_lora(tiny_encoder(seed=1), 3), path)
    refused(tiny_encoder(seed=2), path, TaskMismatch, "learned on another body than this tiny bert")
    refused(add_lora(tiny_encoder(seed=2), 3), path, TaskMismatch, "learned on another body")


def test_a_file_for_another_architecture_is_refused(path):
    save_task(add_lora(tiny_encoder(layers=3), 3), path)
    refused(tiny_encoder(layers=2), path, TaskMismatch, "another body|lacks|holds")
    refused(tiny_encoder(width=8), path, TaskMismatch, "another body|lacks|holds")
    save_task(add_lora(tiny_encoder(), 16), path)
    refused(tiny_encoder(width=8), path, TaskMismatch, "does not fit this tiny bert: The rank of a 8 x 8 layer")
    model = TinyNet()
    before, weights = state(model), weights_of(model)
    with pytest.raises(TaskMismatch, match="does not fit this tiny: The pattern 'query' fits no layer"):
        load_task(model, path)
    assert state(model) == before
    assert not changed(weights, weights_of(model))


@pytest.mark.parametrize("other", [lambda m: add_lora(m, 4), lambda m: add_lora(m, 3, ["key"]), INSERT["adapters"]])
def test_a_file_with_another_rank_other_targets_or_another_method_is_refused(path, other):
    save_task(add_lora(tiny_encoder(), 3), path)
    refused(other(tiny_encoder()), path, TaskMismatch, "holds .*'rank': 3.*Load the model anew")


def test_a_file_with_other_classes_is_refused_where_the_head_is_in_use(path):
    save_task(add_lora(tiny_encoder(classes=3), 3), path)
    refused(add_lora(tiny_encoder(), 3), path, TaskMismatch, r"head.weight is \(3, 16\) in the task and \(2, 16\)")
    assert load_task(tiny_encoder(), path).head.out_features == 3


def test_a_task_in_memory_of_another_shape_is_refused():
    model, other = add_lora(tiny_encoder(), 3), task_weights(add_lora(tiny_encoder(), 4))
    before = weights_of(model)
    with pytest.raises(TaskMismatch, match=r"A is \(4, 16\) in the task and \(3, 16\)"):
        switch_task(model, other)
    with pytest.raises(TaskMismatch, match="lacks .*A .*4 missing, 0 too many"):
        switch_task(model, {name: t for name, t in task_weights(model).items() if not name.endswith(".A")})
    with pytest.raises(TaskMismatch, match="holds extra, unknown to the model .0 missing, 1 too many"):
        switch_task(model, task_weights(model) | {"extra": torch.zeros(1)})
    assert not changed(before, weights_of(model))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_a_damaged_file_is_refused(path, share):
    save_task(add_lora(tiny_encoder(), 3), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(tiny_encoder(), path, TaskMismatch, "films.safetensors is no task file of this course, or is damaged")


SETTINGS = {"method": "lora", "rank": 3, "head": {"num_classes": 2}}
NOTES = {"body": "0", "settings": json.dumps(SETTINGS)}


@pytest.mark.parametrize(
    "notes",
    [
        None, {}, {"settings": NOTES["settings"]}, {"settings": "{"} | {"body": "0"},
        NOTES | {"settings": '{"method": "eval"}'}, NOTES | {"settings": "[]"},
        NOTES | {"settings": json.dumps(SETTINGS | {"head": 2})},
    ],
)  # fmt: skip
def test_a_safetensors_file_that_is_no_task_is_refused(path, notes):
    save_file({"weight": torch.zeros(2)}, path, metadata=notes)
    refused(tiny_encoder(), path, TaskMismatch, "is no task file of this course")


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"command": "rm"}, "command"),
        ({"head": {"num_classes": 2, "command": "rm"}}, "command"),
        ({"head": {}}, "num_classes"),
        ({"head": {"num_classes": 2, "hidden": 10**15}}, "memory|storage"),
    ],
)
def test_a_file_that_asks_for_settings_that_do_not_exist_is_refused(path, more, match):
    save_file({"weight": torch.zeros(2)}, path, metadata=NOTES | {"settings": json.dumps(SETTINGS | more)})
    refused(tiny_encoder(), path, TaskMismatch, f"does not fit this tiny bert: .*({match})")


def test_a_pickle_is_refused(path):
    torch.save({"weight": torch.zeros(2)}, path)
    refused(tiny_encoder(), path, TaskMismatch, "is no task file of this course")


def test_a_missing_file_is_named(path):
    refused(tiny_encoder(), path, FileNotFoundError, "There is no task file .*films.safetensors")


def test_a_model_without_adapter_parameters_has_no_task(path):
    with pytest.raises(ValueError, match="has no adapter parameters. Use add_lora"):
        save_task(tiny_encoder(), path)
    assert not path.exists()


def test_a_model_in_which_nothing_learns_has_no_task(path):
    model = add_lora(tiny_encoder(), 3)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="Every parameter is frozen"):
        save_task(model, path)


def test_a_merged_model_neither_gives_nor_takes_a_task(path):
    model = trained(add_lora(tiny_encoder(), 3))
    task, said = task_weights(model), model(TOKENS)
    save_task(model, path)
    for layer in lora_layers(model).values():
        layer.merge()
    for use in (lambda: switch_task(model, task), lambda: task_weights(model), lambda: load_task(model, path)):
        with pytest.raises(ValueError, match="is merged: the task sits in the body"):
            use()
    for layer in lora_layers(model).values():
        layer.unmerge()
    assert torch.equal(load_task(model, path)(TOKENS), said)
