"""Exercises, sliders and pictures: what makes a notebook a lesson."""


import matplotlib
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from transfer_utils.evaluation.intervals import Interval
from transfer_utils.lesson import check, plots
from transfer_utils.lesson.widgets import explore, try_text
from transfer_utils.runtime.files import checkout

WIDGETS = "application/vnd.jupyter.widget-state+json"


# ------------------------------------------------------------------ exercises

DOUBLES = [(lambda f: f(2) == 4, "Doubling 2 gives 4."), (lambda f: f(0) == 0, "Doubling 0 gives 0.")]


def starter(x):
    """Return twice x."""
    ...


def starter_with_given_lines(x):
    for _ in range(2):
        ...
    return x


def no_return(x):
    x *= 2


def slip(x):
    return x + dict(a=1).get("b")  # None: the learner's own mistake


def last_column(x):
    """An answer may hold an Ellipsis that is no gap."""
    return np.array([x, 2 * x])[..., -1]


class Starter:
    __module__ = "__main__"  # as in a notebook

    def __call__(self, x):
        """Return twice x."""
        ...


@pytest.mark.parametrize("untouched", [..., None, starter, starter_with_given_lines, Starter, Starter()])
def test_an_exercise_that_was_not_touched_is_open_and_does_not_fail(untouched, capsys):
    check("1", untouched, [(lambda answer: answer(2) + 1 > 0 and answer(2) == 4, "advice")])
    assert capsys.readouterr().out.startswith("Exercise 1: open.")


def test_a_mistake_that_mentions_none_is_the_learners_own(capsys):
    check("1", slip, DOUBLES)
    said = capsys.readouterr().out
    assert said.startswith("Exercise 1: not yet. Doubling 2 gives 4. (Your answer raised TypeError: unsupported")


def test_a_function_without_a_return_is_told_so(capsys):
    check("1", no_return, [(lambda f: ... if f(2) is None else True, "Return a number.")])
    assert "Does it end with `return`?" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [last_column, lambda x: np.array([x, 2 * x])[..., -1]])
def test_an_answer_may_hold_an_ellipsis(answer, capsys):
    check("1", answer, DOUBLES)
    assert capsys.readouterr().out == "Exercise 1: right.\n"


def test_a_right_answer_is_said_to_be_right(capsys):
    check("1", lambda x: 2 * x, DOUBLES)
    assert capsys.readouterr().out == "Exercise 1: right.\n"


def test_a_wrong_answer_gets_the_advice_of_the_first_condition_that_fails(capsys):
    check("1", lambda x: x + 2, DOUBLES)
    assert "Doubling 0 gives 0." in capsys.readouterr().out


def test_an_answer_that_crashes_gets_the_error_as_feedback(capsys):
    check("1", lambda x: 1 / 0, DOUBLES)
    assert "ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [torch.zeros(3), np.zeros(3), torch.nn.Linear(2, 2), slice(None)])
def test_a_wrong_answer_of_any_library_is_wrong_and_not_open(answer, capsys):
    check("1", answer, [(lambda answer: answer is False, "Answer with False.")])
    assert capsys.readouterr().out == "Exercise 1: not yet. Answer with False.\n"


@pytest.mark.parametrize("answer", [lambda x: torch.full((3,), 2 * x), lambda x: np.full(3, 2 * x)])
def test_a_vector_where_a_number_was_asked_for_is_feedback_and_no_crash(answer, capsys):
    check("1", answer, DOUBLES)
    said = capsys.readouterr().out
    assert said.startswith("Exercise 1: not yet. Doubling 2 gives 4. (Your answer raised ")
    assert "ambiguous" in said


@pytest.mark.parametrize("answer", [lambda x: torch.tensor(2 * x), lambda x: np.float32(2 * x)])
def test_a_number_of_a_library_is_as_good_as_one_of_python(answer, capsys):
    check("1", answer, DOUBLES)
    assert capsys.readouterr().out == "Exercise 1: right.\n"


@pytest.mark.parametrize("answer", [..., lambda x: x + 2])
def test_a_solution_that_is_wrong_or_open_fails_the_build(answer):
    with pytest.raises(AssertionError, match="solution fails its own check"):
        check("1", answer, DOUBLES, must_pass=True)


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
