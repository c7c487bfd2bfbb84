"""Tables of results: what is shown, and that it is what is returned."""

import io

import pytest
import torch

from transfer_utils import set_profile
from transfer_utils.evaluation.metrics import accuracy, recall
from transfer_utils.lesson import differences, metric_table, tables

LABELS = torch.arange(100) % 2
RIGHT = torch.nn.functional.one_hot(LABELS, 2).float()
RUNS = {"frozen": torch.zeros(3, 100, 2), "tuned": RIGHT.repeat(3, 1, 1)}  # frozen: always class 0


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(tables, "display", found.append)
    set_profile("tiny")
    return found


def test_differences_are_shown_and_returned(shown):
    found = differences(RUNS, LABELS, against="frozen", metric=[accuracy, recall])
    assert [(one.metric, one.mean, one.above) for one in found] == [("accuracy", 0.5, True), ("recall", 1.0, True)]
    (table,) = shown
    assert list(table.frame) == [
        "comparison", "metric", "difference", "95 % over items", "95 % over seeds", "verdict"
    ]  # fmt: skip
    row = table.frame.iloc[1].to_dict()
    assert (row["comparison"], row["metric"], row["difference"]) == ("tuned − frozen", "recall", "+1.000")
    assert (row["95 % over seeds"], row["verdict"]) == ("+1.000 to +1.000", "higher")
    assert table.caption == "100 items, 3 seeds, paired; the verdict adds both sources of variation [tiny]"


def test_one_seed_is_called_one_seed(shown):
    differences({name: scores[0] for name, scores in RUNS.items()}, LABELS, against="tuned")
    row = shown[0].frame.iloc[0].to_dict()
    assert (row["difference"], row["95 % over seeds"], row["verdict"]) == ("−0.500", "one seed", "lower for this seed")
    assert shown[0].caption == "100 items, 1 seed, paired [tiny]"


def test_the_metric_table_has_a_row_a_method_and_a_column_a_metric(shown):
    found = metric_table({**RUNS, "frozen": RUNS["frozen"][0]}, LABELS)
    assert found["tuned"]["recall"].mean == 1.0
    (table,) = shown
    assert list(table.frame) == ["method", "accuracy", "recall", "average precision", "balanced accuracy"]
    assert table.frame["method"].tolist() == ["frozen", "tuned"]
    assert table.frame["recall"].tolist() == ["0.000 [0.000, 0.000]", "1.000 ± 0.000 [1.000, 1.000]"]
    assert "95 % over items" in table.caption


def test_a_table_is_html_without_row_numbers_and_text_for_a_terminal(shown):
    differences({"<b>": RUNS["tuned"], "frozen": RUNS["frozen"]}, LABELS, against="frozen")
    html, text = shown[0]._repr_html_(), repr(shown[0])
    assert "&lt;b&gt; − frozen" in html
    assert "<b>" not in html
    assert "<th>0</th>" not in html
    assert text.splitlines()[0].split("  ")[-1].strip().endswith("verdict")
    assert text.endswith("[tiny]")


@pytest.mark.parametrize(("encoding", "minus"), [("cp1252", "-0.500"), ("utf-8", "−0.500")])
def test_a_terminal_without_a_true_minus_gets_a_hyphen(encoding, minus, shown, monkeypatch):
    differences(RUNS, LABELS, against="tuned")
    output = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(output, encoding=encoding, write_through=True))
    print(shown[0])
    assert minus in output.getvalue().decode(encoding)
