"""The pictures of lesson 00 draw what their alternative texts say."""

import pytest
import torch
from matplotlib import pyplot as plt

from transfer_utils.lesson.figures.start_here import label_budgets, threshold_bars

LABELS = torch.tensor([0] * 6 + [1] * 4)


def scores(found, alarms):
    """Return scores of one seed that find so many of four defects, and call so many functional cells defective."""
    calls = torch.zeros(10, dtype=torch.long)
    calls[6 : 6 + found] = 1
    calls[:alarms] = 1
    return 4 * torch.nn.functional.one_hot(calls, 2).float()


@pytest.fixture(autouse=True)
def closed():
    """Close the figures of a test."""
    yield
    plt.close("all")


def test_the_budget_curve_shows_accuracy_and_defects_missed_with_the_majority_class():
    by_budget = [torch.stack([scores(1, 0), scores(3, 0)]), torch.stack([scores(4, 0), scores(4, 2)])]
    figure, alt = label_budgets({"frozen features": by_budget, "nearest neighbour": by_budget}, LABELS, (20, 100))
    accuracy, missed = figure.axes
    assert accuracy.lines[0].get_ydata().tolist() == pytest.approx([0.8, 0.9])
    assert missed.lines[0].get_ydata().tolist() == pytest.approx([0.5, 0.0])
    assert accuracy.lines[-1].get_ydata()[0] == pytest.approx(0.6), "the majority class is right for six of ten"
    assert missed.lines[-1].get_ydata()[0] == 1, "and misses every defect"
    assert "frozen features 0.80 to 0.90" in alt
    assert "frozen features 0.50 to 0.00" in alt
    assert accuracy.lines[0].get_linestyle() != accuracy.lines[1].get_linestyle(), "two cues"


def test_a_lower_threshold_misses_less_and_alarms_more():
    runs = {"frozen features": scores(3, 1)[None], "from scratch": scores(1, 0)[None]}
    figure, words = threshold_bars(runs, LABELS, 0.5)
    assert "frozen features misses 25%, false alarms 17%; from scratch misses 75%, false alarms 0%" in words
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([0.25, 0.75])
    assert "frozen features misses 0%, false alarms 100%" in threshold_bars(runs, LABELS, 0.0)[1]
