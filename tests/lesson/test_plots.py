"""Pictures: what the general ones draw, read from their axes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from transfer_utils.evaluation.intervals import Interval
from transfer_utils.lesson import plots


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_a_log_axis_has_ticks_at_its_values_alone():
    _, axes = plt.subplots()
    axes.plot([1, 300], [0, 1])
    plots.log_axis(axes, [1, 20, 300])
    assert axes.get_xscale() == "log"
    assert axes.get_xticks().tolist() == [1, 20, 300]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "20", "300"]
    assert axes.get_xticks(minor=True).tolist() == []


def test_a_matrix_shows_rows_from_the_top_and_light_numbers_on_dark():
    _, axes = plt.subplots()
    counts = np.array([[30, 10], [2, 8]])
    plots.matrix(axes, counts / counts.sum(1, keepdims=True), ["fine", "broken"], ["says fine", "says broken"], counts)
    found = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert found == {(0, 0): ("30", "white"), (1, 0): ("10", "black"), (0, 1): ("2", "black"), (1, 1): ("8", "white")}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fine", "broken"]


def test_shares_in_a_matrix_have_three_decimals():
    _, axes = plt.subplots()
    plots.matrix(axes, np.array([[0.7]]), ["films"], ["tweets"], np.array([[0.7]]))
    assert axes.texts[0].get_text() == "0.700"


def test_a_matrix_without_numbers_is_shades_alone():
    _, axes = plt.subplots()
    plots.matrix(axes, np.eye(3) / 10, "abc", "abc")
    assert len(axes.texts) == 0
    assert axes.images[0].get_clim() == (0, 0.1)


def test_curves_of_intervals_stand_beside_each_other_over_their_level():
    rows = {"one": [Interval(0.5, 0.4, 0.6)] * 3, "two": [Interval(0.7, 0.6, 0.8)] * 3}
    (axes,) = plots.interval_curves(rows, [1, 10, 100], [0.5, 0.2, 0.1], "chance", ylabel="accuracy").axes
    assert axes.get_ylabel() == "accuracy"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["chance", "one", "two"]
    first, second = (container.lines[0].get_xdata() for container in axes.containers)
    assert np.all(first < [1, 10, 100])
    assert np.all(second > [1, 10, 100])
    assert axes.lines[-1].get_ydata().tolist() == [0.5, 0.2, 0.1]


def test_a_panel_a_key_and_a_line_at_the_baseline():
    rows = {"there": {"a": Interval(0.5, 0.4, 0.6)}, "and back": {"a": Interval(0.6, 0.5, 0.7)}}
    panels = plots.interval_panels(rows, 0.55, xlabel="accuracy").axes
    assert [axes.get_title() for axes in panels] == ["there", "and back"]
    assert all(axes.lines[-1].get_xdata()[0] == 0.55 and axes.get_xlabel() == "accuracy" for axes in panels)


def test_the_line_of_an_interval_figure_can_be_named():
    (axes,) = plots.interval_figure({"a": Interval(0.1, 0.0, 0.2)}, 0, "equal").axes
    assert "equal" in [text.get_text() for text in axes.texts]
