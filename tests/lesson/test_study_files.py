"""What a study stores: types, nesting, size, and files that are whole or refused."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfer_utils.lesson.studies import files as study_files
from transfer_utils.lesson.studies.files import DamagedStudy, OneRun, StoredStudy, read_study, study_file, write_study
from transfer_utils.lesson.studies.results import MANY, differences, flattened, stacked


def stored_study(*results, **options):
    runs = {seed: OneRun(flattened(result), 1.5, 20.0, "abc1234", "CPU x") for seed, result in enumerate(results)}
    return StoredStudy(options.get("key", {"run": "def run(): ..."}), runs, "2030-01-31", "2.0")


def round_trip(*results):
    return stacked([flattened(result) for result in results])


@given(st.lists(st.floats(-100, 100, width=32), min_size=MANY, max_size=MANY + 20))
def test_many_floats_come_back_as_half_floats(values):
    (back,) = round_trip({"scores": torch.tensor(values)})["scores"]
    assert back.dtype == torch.float32
    assert torch.equal(back, torch.tensor(values).half().float())


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=MANY - 1))
def test_a_short_curve_comes_back_exactly(values):
    assert round_trip({"curve": values})["curve"][0].tolist() == values


@given(st.one_of(st.floats(allow_nan=False), st.integers(-(2**62), 2**62), st.booleans()))
def test_a_single_number_comes_back_exactly(value):
    assert round_trip({"x": value}, {"x": value})["x"].tolist() == [value, value]


def test_what_half_floats_cannot_hold_keeps_more_digits():
    large = torch.full((MANY,), 1e6)
    large[0] = float("inf")
    assert torch.equal(round_trip({"a": large})["a"][0], large)


def test_integers_of_different_size_share_a_type(tmp_path):
    path = tmp_path / "a.safetensors"
    write_study(path, stored_study({"steps": 3}, {"steps": 70000}, {"steps": -1}))
    assert [run.results['["steps"]'].item() for run in read_study(path).runs.values()] == [3, 70000, -1]


def test_half_and_whole_floats_share_a_type(tmp_path):
    path = tmp_path / "a.safetensors"
    small, large = torch.ones(MANY), torch.full((MANY,), 1e6)
    write_study(path, stored_study({"a": small}, {"a": large}))
    assert torch.equal(
        stacked([run.results for run in read_study(path).runs.values()])["a"], torch.stack([small, large])
    )


def test_arrays_lists_of_tensors_and_names_with_strokes():
    results = {
        "a/b": {"c": np.float64(2.5), "d": np.arange(3)},
        "e": [torch.tensor(1.0), torch.tensor(2.0)],
        "f": torch.tensor([True, False]),
        "g": torch.zeros(2, 3, requires_grad=True),
    }
    given_back = round_trip(results)
    assert given_back["a/b"]["c"].tolist() == [2.5]
    assert given_back["a/b"]["d"].tolist() == [[0, 1, 2]]
    assert given_back["e"].tolist() == [[1.0, 2.0]]
    assert given_back["f"].dtype == torch.bool
    assert given_back["g"].shape == (1, 2, 3)


def test_a_study_comes_back_whole(tmp_path):
    path, study = (
        tmp_path / "new" / "42_a.safetensors",
        stored_study({"a": {"b": torch.rand(9, 2)}}, {"a": {"b": torch.rand(9, 2)}}),
    )
    write_study(path, study)
    back = read_study(path)
    assert (back.key, back.date, back.commit, back.machine) == (study.key, "2030-01-31", "abc1234", "CPU x")
    assert torch.equal(back.runs[1].results['["a", "b"]'], study.runs[1].results['["a", "b"]'])
    assert read_study(tmp_path / "none.safetensors") is None


@pytest.mark.parametrize("damage", [b"", b"no", b"\x80\x04K\x01."])
def test_a_file_that_is_no_study_is_refused(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    path.write_bytes(damage)
    with pytest.raises(DamagedStudy, match="is damaged .* Take it from git again"):
        read_study(path)


def test_safetensors_of_something_else_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    for metadata in (None, {"study": "[]"}, {"study": "{}"}, {"study": "no json"}):
        save_file({"a": torch.ones(1)}, path, metadata=metadata)
        with pytest.raises(DamagedStudy):
            read_study(path)


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        ("key", {"run": 3}),
        ("key", ["run"]),
        ("date", 3),
        ("versions", {"torch": None}),
        ("versions", {}),
        ("seeds", ["0"]),
        ("seeds", [0, 1]),
        ("seeds", []),
        ("runs", [{"seconds": "1", "peak_mb": 1, "commit": "", "machine": ""}]),
        ("runs", [{"seconds": 1, "peak_mb": 1, "commit": 1, "machine": ""}]),
        ("runs", [{"seconds": 1, "peak_mb": 1, "commit": "", "machine": "", "more": 1}]),
        ("path", "a"),
        ("path", "3"),
        ("path", "[3]"),
        ("path", "[]"),
        ("path", None),
    ],
)
def test_facts_of_another_kind_are_refused(tmp_path, damage, where):
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    facts = {
        "key": {"run": "x"}, "date": "2030-01-31", "versions": {"torch": "2.0"}, "seeds": [0],
        "runs": [{"seconds": 1.0, "peak_mb": 1.0, "commit": "", "machine": "CPU x"}],
    }  # fmt: skip

    def write(path_of_result='["a"]', **changed):
        tensors = {path_of_result: torch.ones(1, 2)} if path_of_result else {}
        save_file(tensors, path, metadata={"study": json.dumps({**facts, **changed})})

    write()
    assert list(read_study(path).runs) == [0]
    write(where) if damage == "path" else write(**{damage: where})
    with pytest.raises(DamagedStudy, match="is not a study as this version"):
        read_study(path)


def test_what_was_read_holds_no_file_open(tmp_path):
    path = tmp_path / "a.safetensors"
    write_study(path, stored_study({"a": torch.rand(300)}))
    before = read_study(path).runs[0].results['["a"]']
    kept = before.clone()
    with open(path, "r+b") as file:  # in place, as nobody does: a mapped tensor would show it
        file.seek(-200, 2)
        file.write(bytes(200))
    assert torch.equal(before, kept)


def test_what_is_too_large_is_not_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(study_files, "MOST_BYTES", 20_000)
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    write_study(first, stored_study({"a": torch.rand(6000)}))
    write_study(first, stored_study({"a": torch.rand(6000)}))  # in place of the first: it does not count twice
    with pytest.raises(ValueError, match=r"2\.safetensors would take 0\.01 MB, and all studies 0\.02 MB; at most"):
        write_study(second, stored_study({"a": torch.rand(6000)}))
    assert not second.exists()


def test_names_of_files():
    assert [study_file("s", "01", "heads", profile).name for profile in ("laptop", "full")] == [
        "01_heads.safetensors",
        "01_heads.full.safetensors",
    ]


def test_in_a_wheel_the_files_lie_in_the_package(monkeypatch):
    monkeypatch.delenv("TRANSFER_STUDIES", raising=False)
    assert study_files.studies_folder().parts[-2:] == ("notebooks", "studies")
    monkeypatch.setattr(study_files, "checkout", lambda: None)
    assert study_files.studies_folder().parts[-2:] == ("transfer_utils", "studies")
    assert study_files.current_commit() == ""


@pytest.mark.parametrize(
    ("live", "stored", "apart"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], [[1.0, 2.0], [1.0, 2.0]], 0.5),  # scores: one item of two changed its class
        ([[0.0, 5.0]], [[0.0, 0.01]], 0.4908),  # the class is the same, but not how sure it is: 0.9933 and 0.5025
        ([[0.0, float("nan")]], [[0.0, float("nan")]], 0.0),
        ([[0.0, 1.0]], [[0.0, float("nan")]], float("nan")),
        ([[1.0], [2.0]], [[1.5], [2.5]], 0.5),
        ([[1, 2], [2, 1]], [[1, 2], [2, 2]], 0.25),  # counts, no scores
        ([1.0, float("nan")], [2.0, float("nan")], 0.5),
    ],
)
def test_how_far_results_are_apart(live, stored, apart):
    found = [number for number, _ in differences(torch.tensor(live), torch.tensor(stored))]
    assert max(found, key=lambda number: (number != number, number)) == pytest.approx(apart, abs=1e-4, nan_ok=True)


def test_large_scores_keep_their_predictions():
    """The step of float16 beside 3000 is 2, so both scores would be 3000."""
    large = torch.tensor([[3000.0, 3000.9]]).repeat(MANY, 1)
    assert torch.equal(round_trip({"scores": large})["scores"][0], large)
    apart = torch.tensor([[3000.0, 3004.9]]).repeat(MANY, 1)
    assert flattened({"scores": apart})['["scores"]'].dtype == torch.float16


def test_unit_tests_have_a_folder_of_their_own(tmp_path):
    """The fixture in conftest sets it: no test writes into the studies of the checkout by a variable's wrong name."""
    assert study_files.studies_folder() == tmp_path / "studies"
