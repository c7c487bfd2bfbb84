"""The picture of lesson 03: schedules against rates, the collapsed one beside the others."""

import matplotlib.pyplot as plt
import pytest

from transfer_utils.lesson.figures.unfreezing import by_rate


@pytest.fixture
def drawn():
    precision = {"gradual, 0.001": [0.80, 0.82], "gradual, 0.02": [0.77, 0.79], "still, 0.001": [0.80, 0.80]}
    figure, told = by_rate(
        precision | {"still, 0.02": [0.3, 0.5], "head alone": [0.79, 0.79]}, (1e-3, 0.02), ("gradual", "still")
    )
    yield figure.axes[0], told
    plt.close(figure)


def test_the_words_give_every_mean_and_the_head_alone(drawn):
    assert "gradual 0.810, 0.780; still 0.800, 0.400; head alone 0.790." in drawn[1]


def test_a_mean_below_the_axis_is_written_at_its_end_and_no_other(drawn):
    axes, _ = drawn
    assert axes.get_ylim()[0] == pytest.approx(0.63)
    assert [text.get_text() for text in axes.texts] == ["0.40"]


def test_every_seed_is_a_dot_and_the_rates_are_the_ticks(drawn):
    axes, _ = drawn
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert [list(line.get_ydata()) for line in dots][:2] == [[0.80, 0.82], [0.77, 0.79]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.001", "0.02"]
