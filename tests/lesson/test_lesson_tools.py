"""Exercises, sliders and pictures: what makes a notebook a lesson."""

import matplotlib
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from transfer_utils.evaluation.intervals import Interval
from transfer_utils.lesson import plots
from transfer_utils.lesson.widgets import explore, try_text
from transfer_utils.runtime.files import checkout

WIDGETS = "application/vnd.jupyter.widget-state+json"


# ---------------------------------------------------------------------- sliders


def test_a_still_picture_is_drawn_once_at_the_start_values(monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    drawn = []
    explore(lambda k, name: drawn.append((k, name)), k=(2, 1, 10), name=["b", "a"])
    assert drawn == [(2, "b")]


@pytest.fixture
def shown(monkeypatch):
    """Return the list of what a person in front of a live notebook is shown."""
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    widgets = []
    monkeypatch.setattr("IPython.display.display", widgets.append)
    return widgets


def said(output):
    return [part["text"] for part in output.outputs]


def test_a_slider_starts_where_it_should_and_draws_when_it_is_moved(shown):
    explore(lambda k: print(k * k), k=(2, 1, 10))
    controls, output = shown[0].children
    slider = controls.children[0]
    assert (slider.value, slider.min, slider.max) == (2, 1, 10)
    assert said(output) == ["4\n"]
    slider.value = 7
    assert said(output) == ["49\n"]


def test_an_error_at_the_start_stops_the_notebook_and_a_later_one_is_read_below_the_slider(shown):
    explore(lambda k: print(1 / k), k=(2, 0, 10))
    controls, output = shown[0].children
    controls.children[0].value = 0
    assert said(output) == ["ZeroDivisionError: division by zero\n"]
    controls.children[0].value = 1
    assert said(output) == ["1.0\n"]
    with pytest.raises(ZeroDivisionError):
        explore(lambda k: print(1 / k), k=(0, 0, 10))


def test_text_box_answers_each_example_where_outputs_are_stored(monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    asked = []
    try_text(asked.append, ["one", "two"])
    assert asked == ["one", "two"]


def test_text_box_survives_a_text_that_is_refused(shown):
    def answer(sentence):
        if sentence == "zebra":
            raise ValueError("no word of this is known")
        print(len(sentence))

    try_text(answer, ["one", "three"])
    menu, box, output = shown[0].children
    menu.value = "three"
    assert (box.value, said(output)) == ("three", ["5\n"])
    box.value = "zebra"
    assert said(output) == ["ValueError: no word of this is known\n"]


def test_a_live_slider_does_not_make_nbclient_wait_for_ever():
    """No message may go from the front end to the kernel while a cell runs: nbclient then loses replies at times."""
    source = "from transfer_utils.lesson.widgets import explore\nexplore(lambda k: display(Math(str(k))), k=(2, 1, 10))"
    cell = nbformat.v4.new_code_cell("from IPython.display import Math, display\n" + source)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    from nbclient.output_widget import OutputWidget

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(checkout()))
        patch.delenv("COURSE_STATIC", raising=False)
        patch.setattr(OutputWidget, "send", lambda *_, **__: pytest.fail("the front end wrote to the kernel"))
        NotebookClient(notebook, timeout=120).execute()
    drawn = [state["state"]["outputs"] for state in notebook.metadata.widgets[WIDGETS]["state"].values()
             if "outputs" in state["state"]]  # fmt: skip
    assert [part["data"]["text/latex"] for part in drawn[0]] == ["$\\displaystyle 2$"]


# -------------------------------------------------------------------- pictures


def test_a_picture_carries_its_alternative_text(monkeypatch):
    shown = []
    monkeypatch.setattr("transfer_utils.lesson.plots.display", shown.append)
    figure, _ = plt.subplots()
    plots.show(figure, "An empty plot with two axes and nothing in it.")
    assert shown[0]._repr_mimebundle_()[1]["image/png"]["alt"] == "An empty plot with two axes and nothing in it."


def test_a_picture_without_a_real_text_is_refused():
    figure, _ = plt.subplots()
    with pytest.raises(ValueError, match="Say in a sentence"):
        plots.show(figure, "plot")
    plt.close(figure)


def test_rows_of_intervals_show_an_infinite_one_as_a_point():
    _, axes = plt.subplots()
    plots.interval_rows(axes, {"one seed": Interval(0.5, -np.inf, np.inf), "two": Interval(0.5, 0.4, 0.6)})
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one seed", "two"]
    plt.close("all")


def test_the_colours_of_the_methods_differ_also_for_the_colour_blind():
    """Distances under simulated deuteranopia (Machado et al. 2009, severity 1); one colour twice has two markers."""
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    colours = [np.array(matplotlib.colors.to_rgb(colour)) @ deuteranopia.T for colour, _ in plots.METHODS.values()]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(colours) for b in colours[:i] if not np.array_equal(a, b)]
    assert min(distances) > 0.15
    assert len(set(plots.METHODS.values())) == len(plots.METHODS)
