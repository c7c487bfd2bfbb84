"""Batches: every item once, none alone, shared between processes, the same each time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TinyNet, linear, tiny_images, tiny_table
from torch.utils.data import DataLoader, TensorDataset

from transfer_utils import fit
from transfer_utils.runtime.devices import to_device
from transfer_utils.training.batches import BatchOrder, TrainingBatches, batch_bounds


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(1, 20))
def test_batches_use_every_item_once_and_none_has_one_item_only(count, size):
    table = TensorDataset(torch.arange(count))
    if size > count:
        size = count
    batches = TrainingBatches(table, size, seed=1, epoch=2)
    parts = [batches[i][0][0].tolist() for i in range(len(batches))]
    assert sorted(sum(parts, [])) == list(range(count))
    if size > 1 and count > 1:
        assert min(map(len, parts)) > 1


@settings(max_examples=25)
@given(st.integers(2, 40), st.integers(2, 9), st.integers(2, 4))
def test_processes_share_each_batch(count, size, processes):
    table = TensorDataset(torch.arange(count))
    shared = [TrainingBatches(table, min(size, count), 0, 0, rank, processes) for rank in range(processes)]
    for number, (start, end) in enumerate(shared[0].bounds):
        items = [part[number] for part in shared]
        assert sum(share for _, share in items) == pytest.approx(1)
        counted = [i for (values,), share in items for i in (values.tolist() if share else [])]
        assert sorted(counted) == sorted(shared[0].order[start:end])


def test_a_last_batch_of_one_image_joins_the_one_before():
    assert batch_bounds(11, 5) == [(0, 5), (5, 11)]
    images = tiny_images(11).with_transform(TinyNet().card.preprocess())
    assert fit(TinyNet(), images, epochs=1, batch_size=5, progress="").steps == 2


def test_a_batch_larger_than_the_data_is_all_of_it_and_that_is_said():
    with pytest.warns(UserWarning, match="batch size 99 is larger than the data; using all 23 items"):
        assert fit(linear(), tiny_table(23), epochs=1, batch_size=99, progress="").steps == 1


def test_the_profile_gives_the_batch_size():
    assert fit(linear(), tiny_table(23), epochs=1, progress="").steps == 2  # 23 items by 16


def test_every_epoch_has_another_order():
    orders = [tuple(TrainingBatches(tiny_table(), 5, seed, epoch).order) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_batches_of_any_form_are_moved_to_the_device():
    images = torch.zeros(2, 3, 4, 4)
    moved = to_device({"images": images, "rest": [torch.zeros(2), "a name"]}, torch.device("cpu"))
    assert moved["images"].is_contiguous(memory_format=torch.channels_last)
    assert moved["rest"][1] == "a name"


@settings(max_examples=25)
@given(st.integers(2, 30), st.integers(1, 9), st.integers(0, 3))
def test_a_loader_of_ones_own_sees_the_batches_of_fit(count, size, seed):
    table = TensorDataset(torch.arange(count))
    loader = DataLoader(table, batch_sampler=BatchOrder(table, min(size, count), seed))
    for epoch in range(3):
        batches = TrainingBatches(table, min(size, count), seed, epoch)
        assert [batch.tolist() for (batch,) in loader] == [batches[i][0][0].tolist() for i in range(len(batches))]
    assert len(loader) == len(batches)


def test_a_loop_by_hand_finds_the_weights_of_fit():
    torch.manual_seed(0)
    table = TensorDataset(torch.randn(23, 4), torch.arange(23) % 2)
    by_hand, with_fit = linear(2, 4, seed=1), linear(2, 4, seed=1)
    optimizer = torch.optim.AdamW(by_hand.parameters(), lr=0.01)
    loader = DataLoader(table, batch_sampler=BatchOrder(table, 5, seed=3))
    for _ in range(2):
        for inputs, targets in loader:
            loss = torch.nn.functional.cross_entropy(by_hand(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    fit(with_fit, table, epochs=2, lr=0.01, schedule=lambda progress: 1.0, batch_size=5, seed=3, progress="")
    assert torch.allclose(by_hand.weight, with_fit.weight, atol=1e-7)
