"""The solar cells: all there, counted as published, and split the same way each time."""

import hashlib

import numpy as np
import pytest

from transfer_utils import data
from transfer_utils.data.elpv import BLOCK_LENGTH

# Measured from the published labels: cells with probability 0, 1/3, 2/3 and 1.
COUNTS = {"mono": [588, 117, 56, 313], "poly": [920, 178, 50, 402]}


@pytest.fixture(scope="module")
def cells():
    return data.elpv.load()


def parts_of(splits):
    return splits.train, splits.validation, splits.test


def names_of(split):
    return [path.name for path in split.images]


def together(splits, name):
    return np.concatenate([part.extra[name] for part in parts_of(splits)])


def test_every_cell_is_there_by_grade_and_type(cells):
    grades, types = together(cells, "grade"), together(cells, "module_type")
    assert len(grades) == 2624
    for kind, counts in COUNTS.items():
        assert [int(np.isclose(grades[types == kind], g, atol=0.01).sum()) for g in (0, 1 / 3, 2 / 3, 1)] == counts


def test_a_cell_is_defective_above_one_half(cells):
    for part in parts_of(cells):
        assert np.array_equal(part.labels.numpy(), part.extra["grade"] > 0.5)
    assert sum(part.class_counts()["defective"] for part in parts_of(cells)) == 56 + 313 + 50 + 402


def test_the_splits_are_disjoint_and_have_their_sizes(cells):
    assert [len(part) for part in parts_of(cells)] == [1574, 394, 656]
    assert len({name for part in parts_of(cells) for name in names_of(part)}) == 2624


def test_the_splits_are_stratified_by_grade_and_type(cells):
    for part in parts_of(cells):
        for kind, counts in COUNTS.items():
            inside = part.extra["grade"][part.extra["module_type"] == kind]
            found = np.array([np.isclose(inside, g, atol=0.01).sum() for g in (0, 1 / 3, 2 / 3, 1)])
            assert np.all(np.abs(found - np.array(counts) * len(part) / 2624) < 2)


def test_the_split_is_the_same_each_time(cells):
    again = data.elpv.load()
    for part, same in zip(parts_of(cells), parts_of(again), strict=True):
        assert names_of(part) == names_of(same)


def test_the_split_is_the_one_that_all_committed_results_were_measured_on(cells):
    tested = hashlib.sha256(" ".join(names_of(cells.test)).encode()).hexdigest()
    assert tested.startswith("0175a74cc49cf7ff")


@pytest.mark.parametrize("kind", ["mono", "poly"])
def test_a_domain_is_the_same_split_filtered(cells, kind):
    domain = data.elpv.load(domain=kind)
    assert sum(len(part) for part in parts_of(domain)) == sum(COUNTS[kind])
    for part, whole in zip(parts_of(domain), parts_of(cells), strict=True):
        wanted = [n for n, k in zip(names_of(whole), whole.extra["module_type"], strict=True) if k == kind]
        assert names_of(part) == wanted
    assert domain.name == f"ELPV {kind}"


def test_blocks_keep_neighbours_in_one_split():
    blocks = data.elpv.load(split="blocks")
    split_of = {}
    for number, part in enumerate(parts_of(blocks)):
        for name in names_of(part):
            split_of.setdefault((int(name[4:8]) - 1) // BLOCK_LENGTH, set()).add(number)
    assert all(len(splits) == 1 for splits in split_of.values())
    assert {number for splits in split_of.values() for number in splits} == {0, 1, 2}
    assert sum(len(part) for part in parts_of(blocks)) == 2624


def test_a_cell_is_read_as_a_photograph_in_rgb(cells):
    image, label = cells.train[0]
    assert (image.mode, image.size) == ("RGB", (300, 300))
    assert np.asarray(image).std() > 5
    assert label in (0, 1)


def test_the_licence_and_the_attribution_come_along(cells):
    assert cells.licence == "CC BY-NC-SA 4.0"
    assert "Deitsch" in cells.attribution


@pytest.mark.parametrize(("options", "message"), [({"domain": "thin film"}, "mono"), ({"split": "odd"}, "blocks")])
def test_unknown_domains_and_splits_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        data.elpv.load(**options)


def test_items_limit_each_split_and_none_is_all():
    small = data.load("elpv", items=(64, None, 48))
    assert [len(part) for part in (small.train, small.validation, small.test)] == [64, 394, 48]
    assert small.train.fingerprint() == data.elpv.load().train.sample(64, seed=0).fingerprint()
    assert len(data.load("elpv").train) == 1574
