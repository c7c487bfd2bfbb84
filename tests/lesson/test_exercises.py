"""Exercises: open, right or wrong; whose error it was; solutions that leave the learner's names alone."""

import contextlib
import random
import re
import runpy
import sys
import types

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from transfer_utils.lesson import check, solution
from transfer_utils.lesson.checks import registry
from transfer_utils.lesson.checks.registry import NOTHING, exercise, number_from
from transfer_utils.lesson.solved import read_solved
from transfer_utils.runtime.files import checkout

# ------------------------------------- the form of the first edition: conditions in the cell

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


# -------------------------------------------------------------------- the form of the second edition


@pytest.fixture
def doubling(monkeypatch):
    """Add an exercise 09.1, whose answer is a function that doubles."""

    def doubled(answer, shift=0):
        result = answer(3)
        yield result is not None, NOTHING
        yield result == 6 + shift, "Doubling 3 gives 6."
        yield [answer(i) for i in (0, 5)] == [shift, 10 + shift], "Double every number."

    monkeypatch.setattr(registry, "_exercises", {})
    monkeypatch.setattr(registry, "lessons", lambda: ["09"])
    monkeypatch.setitem(sys.modules, "transfer_utils.lesson.checks.lesson_09", types.ModuleType("lesson_09"))
    doubled.__module__ = "transfer_utils.lesson.checks.lesson_09"
    return exercise("09.1", "Double a number", asked="a function of x")(doubled)


@pytest.fixture
def cell():
    """Return a function that runs the source of a cell in the names of one notebook."""
    names = {"__name__": "__main__", "check": check, "solution": solution}

    def run(source):
        import linecache

        path = f"/tmp/ipykernel_1/{len(linecache.cache)}.py"
        linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
        exec(compile(source, path, "exec"), names)
        return names

    return run


def test_a_check_of_one_call_finds_its_conditions(doubling, capsys):
    check("09.1", lambda x: x + x)
    check("09.1", lambda x: x + x + 1, shift=1)
    check("09.1", lambda x: 6)
    check("09.1", lambda x: x * x)
    check("09.1", lambda x: print(end=""))
    assert capsys.readouterr().out.splitlines() == [
        "Exercise 09.1: right.",
        "Exercise 09.1: right.",
        "Exercise 09.1: not yet. Double every number.",
        "Exercise 09.1: not yet. Doubling 3 gives 6.",
        f"Exercise 09.1: not yet. {NOTHING}",
    ]


@pytest.mark.parametrize("untouched", [..., None, starter, Starter, Starter()])
def test_an_untouched_answer_is_open(doubling, untouched, capsys):
    check("09.1", untouched)
    assert capsys.readouterr().out.startswith("Exercise 09.1: open.")


def test_an_exercise_that_is_not_there_is_refused_with_those_that_are(doubling):
    with pytest.raises(ValueError, match=r"no exercise '09.7': lesson/checks/lesson_09.py has 09.1\."):
        check("09.7", 1)
    with pytest.raises(ValueError, match="lesson_77.py has no exercise"):
        check("77.1", 1)


def test_a_check_without_its_context_is_the_authors_mistake():
    call = re.escape('check("01.1", five_class_head, width=width)')
    for answer in (5, ...):
        with pytest.raises(TypeError, match=f"^the check of exercise 01.1 needs width: {call}$"):
            check("01.1", answer)
        with pytest.raises(TypeError, match=f"^the check of exercise 01.1 knows no depth, height: {call}$"):
            check("01.1", answer, width=8, height=2, depth=3)


@pytest.mark.parametrize("number", [1.1, 1, None, ["01.1"]])
def test_a_number_that_is_no_text_is_refused_with_the_form_that_is_right(number):
    for call in (lambda: check(number, 45, width=8), lambda: check(number, 1, DOUBLES), lambda: solution(number)):
        with pytest.raises(TypeError, match='a text in quotes, such as "01.2", and not '):
            call()


class Unreadable(Exception):
    def __str__(self):
        raise KeyError("no text")


def unreadable(x):
    raise Unreadable


def long_winded(x):
    raise ValueError("x" * 10_000)


def test_an_error_that_cannot_say_what_it_is_is_feedback_and_no_crash(doubling, capsys):
    check("09.1", unreadable)
    check("1", unreadable, DOUBLES)
    for said in capsys.readouterr().out.split("Exercise")[1:]:
        assert "Unreadable: (its text cannot be read: KeyError)" in said


def test_what_an_error_says_is_cut(doubling, capsys):
    check("09.1", long_winded)
    assert re.search("ValueError: x+ [.]{3} and 9812 more characters", capsys.readouterr().out)


def test_a_learners_error_is_shown_as_theirs_with_its_line(doubling, cell, capsys):
    cell("def helper(x):\n    return 1 / (x - x)")
    cell("def double(x):\n    y = x\n    return helper(y)\n\ncheck('09.1', double)")
    assert capsys.readouterr().out == (
        "Exercise 09.1: not yet. Your code raised ZeroDivisionError: division by zero\n"
        "    in `helper`, line 2 of its cell: return 1 / (x - x)\n"
    )


def test_a_learners_error_in_a_file_names_the_file(doubling, tmp_path, capsys):
    (tmp_path / "mine.py").write_text("def double(x):\n    return x + None\n")
    check("09.1", runpy.run_path(str(tmp_path / "mine.py"))["double"])
    said = capsys.readouterr().out
    assert "Your code raised TypeError: unsupported operand" in said
    assert said.endswith("in `double`, line 2 of mine.py: return x + None\n")


@pytest.mark.parametrize("answer", [3, "x + x", lambda: 6, torch.zeros(2), np.zeros(2)])
def test_an_answer_that_the_check_cannot_use_is_told_what_was_asked_for(doubling, answer, capsys):
    check("09.1", answer)
    said = capsys.readouterr().out
    assert said.startswith("Exercise 09.1: not yet. The check could not use your answer (TypeError: ")
    assert said.endswith("Asked for was a function of x.\n")


def test_a_vector_of_truths_is_an_answer_that_cannot_be_used(doubling, capsys):
    check("09.1", lambda x: np.full(3, 2 * x))
    assert "could not use your answer (ValueError: The truth value" in capsys.readouterr().out


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_learner_can_stop_an_answer_that_does_not_end(doubling, stop, capsys):
    def endless(x):
        print("still here")
        raise stop

    with pytest.raises(stop):
        check("09.1", endless)
    assert "still here" in capsys.readouterr().out


def test_what_an_answer_prints_is_shown_apart_and_not_without_end(doubling, capsys):
    def talks(x):
        for i in range(40):
            print(f"Exercise 09.1: right. {i}")
        return 7

    check("09.1", talks)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "While it was checked, your code printed:"
    assert said[-2:] == ["... and 30 more lines", "Exercise 09.1: not yet. Doubling 3 gives 6."]


def test_a_long_line_of_an_answer_is_cut(doubling, capsys):
    check("09.1", lambda x: print("y" * 10_000_000) or 2 * x)
    assert capsys.readouterr().out.splitlines()[1:4] == [f"{'y' * 200} ... and 9999800 more characters"] * 3


def test_a_check_leaves_random_state_and_gradient_mode_as_they_were(doubling):
    def careless(x):
        torch.manual_seed(x), np.random.seed(x), random.seed(x), torch.set_grad_enabled(False)
        return 2 * x

    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    check("09.1", careless)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    assert torch.is_grad_enabled()


def test_a_check_leaves_the_default_type_as_it_was(doubling):
    check("09.1", lambda x: torch.set_default_dtype(torch.float64) or 2 * x)
    left, _ = torch.get_default_dtype(), torch.set_default_dtype(torch.float32)
    assert left is torch.float32


def test_a_check_draws_the_same_numbers_each_time(doubling):
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        check("09.1", lambda x: drawn.append(float(torch.rand(1))) or 2 * x)
    assert drawn[:3] == drawn[3:]


@pytest.mark.parametrize("number", [6, 6.0, np.float32(6), torch.tensor(6), torch.tensor([6.0]), np.int64(6)])
def test_a_number_of_any_library_is_a_number(number):
    assert number_from(number) == 6


@pytest.mark.parametrize("other", ["6", True, [6], None, torch.zeros(2), np.zeros(2), torch.nn.Linear(2, 2)])
def test_what_is_no_number_is_said_so(other):
    with pytest.raises(registry.NotUsable, match="is not (a|one) number"):
        number_from(other)


def test_a_thing_that_equals_everything_is_no_answer(capsys):
    from unittest.mock import ANY

    check("01.1", ANY, width=8)
    assert "<ANY> is not a number. Asked for was a number." in capsys.readouterr().out


# ------------------------------------------------------------------------ solutions

STARTER_CELL = "def double(x):\n    ..."
CHECK_CELL = "check('09.1', double)"
SOLUTION_CELL = """# @title Solution 09.1
with solution("09.1"):
    def double(x):
        return x + x

    new, kept = 1, "other"
    del gone
    check("09.1", double)"""


def test_a_solution_leaves_the_learners_names_alone(doubling, cell, capsys):
    names = cell("gone, kept = [1], {}")
    before = dict(cell(STARTER_CELL))
    cell(SOLUTION_CELL)
    cell(CHECK_CELL)
    assert {name: value for name, value in names.items() if before.get(name) is not value} == {}
    assert names.keys() == before.keys()
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Solution 09.1: right. Your own names are as they were."
    assert said[1].startswith("Exercise 09.1: open.")
    assert read_solved() == {}


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ("double = lambda x: 3; check('09.1', double)", AssertionError, "fails its own check: not yet. Doubling 3"),
        ("double = ...; check('09.1', double)", AssertionError, "fails its own check: open"),
        ("double = 1", AssertionError, "its block calls none"),
        ("double = 1; check('01.1', 45, width=8)", ValueError, "The solution 09.1 checks exercise 01.1"),
        ("double = 1 / 0", ZeroDivisionError, "division"),
        ("double = 1\n    with solution('09.2'): pass", RuntimeError, "inside the solution 09.1"),
    ],
)
def test_a_solution_that_fails_says_why_and_still_puts_the_names_back(doubling, cell, body, error, words, monkeypatch):
    monkeypatch.setattr(registry, "lessons", lambda: ["01", "09"])
    monkeypatch.delitem(sys.modules, "transfer_utils.lesson.checks.lesson_01", raising=False)
    names = cell("double, other = 'mine', 1")
    with pytest.raises(error, match=words):
        cell(f"with solution('09.1'):\n    other = 2\n    {body}")
    assert (names["double"], names["other"]) == ("mine", 1)
    cell(SOLUTION_CELL.replace("    del gone\n", ""))  # the next solution is not disturbed


def test_a_solution_leaves_random_state_as_it_was(doubling, cell):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    cell("import torch\nwith solution('09.1'):\n    torch.rand(9)\n    check('09.1', lambda x: 2 * x)")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("end", ["", "\n    raise KeyError"])
def test_a_solution_leaves_gradient_mode_and_default_type_as_they_were(doubling, cell, end):
    body = "torch.set_grad_enabled(False)\n    torch.set_default_dtype(torch.float64)"
    with contextlib.suppress(KeyError):
        cell(f"import torch\nwith solution('09.1'):\n    {body}\n    check('09.1', lambda x: 2 * x){end}")
    left = torch.is_grad_enabled(), torch.get_default_dtype()
    torch.set_grad_enabled(True), torch.set_default_dtype(torch.float32)
    assert left == (True, torch.float32)


def test_a_solution_in_a_function_is_refused(doubling):
    with pytest.raises(RuntimeError, match="at the top of a cell"), solution("09.1"):
        pass


def test_an_old_check_within_a_solution_is_strict(cell):
    with pytest.raises(AssertionError, match="fails its own check"):
        cell("with solution('09.1'):\n    check('09.1 Title', 1, [(lambda n: n == 2, 'Two.')])")


def test_after_run_all_every_exercise_of_a_real_notebook_is_open_and_stays_so():
    cells = [
        "from transfer_utils.lesson import check, solution\nwidth = 8",
        "five_class_head = ...",
        "check('01.1', five_class_head, width=width)",
        "# @title Solution 01.1\nwith solution('01.1'):\n    five_class_head = 5 * width + 5\n"
        "    check('01.1', five_class_head, width=width)",
        "def old_and_new_head(train, validation, old_head):\n    ...",
        "check('01.4', old_and_new_head)",
        "from transfer_utils.lesson.checks.drifted_features import two_heads\nwith solution('01.4'):\n"
        "    old_and_new_head = two_heads()\n    check('01.4', old_and_new_head)",
        "check('01.1', five_class_head, width=width)\ncheck('01.4', old_and_new_head)",
        "def old_and_new_head(train, validation, old_head):\n    seconds = 1.0\n    return seconds.epochs",
        "check('01.4', old_and_new_head)",
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(checkout()))
        NotebookClient(notebook, timeout=120).execute()
    said = ["".join(output.text for output in cell.outputs) for cell in notebook.cells]
    for place in (2, 5):
        assert ": open." in said[place]
    assert said[3] == "Solution 01.1: right. Your own names are as they were.\n"
    assert said[6] == "Solution 01.4: right. Your own names are as they were.\n"
    assert said[7] == said[2] + said[5]
    assert said[9] == (
        "Exercise 01.4: not yet. Your code raised AttributeError: 'float' object has no attribute 'epochs'\n"
        "    in `old_and_new_head`, line 3 of its cell: return seconds.epochs\n"
    )
    nbformat.validate(notebook)
