"""The ledger: one row for each result, in place of an older one of the same name."""

import numpy as np
import pytest
import torch

from transfer_utils import set_profile
from transfer_utils.evaluation import metrics
from transfer_utils.lesson import ledger_table, record, record_runs, start


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "ledger.csv"
    monkeypatch.setenv("TRANSFER_LEDGER", str(path))
    start("00_test")
    return path


def test_a_row_holds_mean_and_standard_deviation_over_the_seeds(ledger):
    row = record("a", [0.8, 0.9], data="d", trainable_params=5, seconds=1.23).iloc[0]
    assert row["mean"] == pytest.approx(0.85)
    assert row["spread"] == pytest.approx(np.std([0.8, 0.9], ddof=1), abs=1e-4)
    assert (row["seeds"], row["trainable_params"], row["seconds"]) == (2, 5, 1.2)


def test_one_seed_has_no_spread(ledger):
    assert np.isnan(record("a", [0.8], data="d").iloc[0]["spread"])


def test_a_result_measured_again_takes_the_place_of_the_old_one(ledger):
    record("a", [0.1], data="d")
    record("b", [0.2], data="d")
    record("a", [0.3], data="d")
    table = ledger_table()
    assert sorted(zip(table["method"], table["mean"], strict=True)) == [("a", 0.3), ("b", 0.2)]


def test_the_runs_of_a_study_become_a_row_a_method_with_a_value_a_seed(ledger):
    labels = torch.tensor([0, 1, 1])
    right = torch.nn.functional.one_hot(labels, 2).float()
    half = right.clone()
    half[2] = half[2].flip(0)
    runs = {"a": torch.stack([right, right]), "b": torch.stack([right, half])}
    record_runs(
        runs, labels, metrics.balanced_accuracy, data="d", trainable_params=torch.nn.Linear(3, 2).requires_grad_(True)
    )
    table = ledger_table().set_index("method")
    assert (table.loc["a", "mean"], table.loc["b", "mean"]) == (1.0, 0.875)
    assert set(table["metric"]) == {"test balanced accuracy"}
    assert set(table["trainable_params"]) == {8}
    assert set(table["seeds"]) == {2}


def test_profiles_stand_side_by_side_in_the_file(ledger):
    for profile in ("tiny", "laptop"):
        set_profile(profile)
        record("a", [0.5], data="d")
    assert ledger.read_text().count("\n") == 3
    assert len(ledger_table()) == 1


def test_the_ledger_has_the_columns_that_were_agreed(ledger):
    record("a", [0.5], data="d")
    assert ledger.read_text().splitlines()[0] == (
        "lesson,method,data,profile,seeds,metric,mean,spread,trainable_params,seconds,peak_mb"
    )


def test_costs_of_each_run_are_averaged(ledger):
    row = record("a", [0.8, 0.9], data="d", seconds=[1.0, 2.0], peak_mb=np.array([100, 300])).iloc[0]
    assert (row["seconds"], row["peak_mb"]) == (1.5, 200)


def test_values_may_be_a_tensor_as_studies_give_them(ledger):
    row = record("a", torch.tensor([0.8, 0.9]), data="d", seconds=(1.0, 2.0)).iloc[0]
    assert (row["mean"], row["spread"], row["seeds"], row["seconds"]) == (0.85, 0.0707, 2, 1.5)


def test_costs_that_were_not_measured_are_empty(ledger):
    record("a", [0.8], data="d")
    assert ledger.read_text().splitlines()[1].endswith(",0.8,,0,,")


@pytest.mark.parametrize("name", ["seconds", "peak_mb"])
def test_costs_of_other_runs_are_refused(ledger, name):
    with pytest.raises(ValueError, match=f"{name} holds 3 values for 2 runs"):
        record("a", [0.8, 0.9], data="d", **{name: [1.0, 2.0, 3.0]})


def test_a_result_without_values_is_refused(ledger):
    with pytest.raises(ValueError, match="at least one run"):
        record("a", [], data="d")
    assert not ledger.exists()
