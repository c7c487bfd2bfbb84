"""Claims: the build stops where one is false, a learner is told and goes on."""

import math

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from transfer_utils import set_profile
from transfer_utils.evaluation.intervals import Interval
from transfer_utils.lesson import EVERY_PROFILE, ClaimFailed, claim, report_difference, report_runs
from transfer_utils.runtime.files import checkout


@pytest.fixture
def build(monkeypatch):
    monkeypatch.setenv("COURSE_BUILD", "1")


@pytest.mark.usefixtures("build")
def test_a_false_claim_stops_the_build_in_a_profile_that_it_is_judged_in():
    set_profile("laptop")
    with pytest.raises(ClaimFailed, match=r"does not hold in this run: Two is three. \(2\) \[laptop\]"):
        claim("Two is three.", 2 == 3, 2)  # noqa: PLR0133


def test_a_learner_reads_that_it_does_not_hold_with_evidence_and_goes_on(capsys):
    set_profile("laptop")
    claim("Two is three.", False, evidence="0.5 [0.4, 0.6]")
    assert capsys.readouterr().out == (
        "Does not hold in this run: Two is three. (0.5 [0.4, 0.6]) [laptop]. "
        "You changed something, or this machine computes differently; the lesson goes on.\n"
    )


@pytest.mark.parametrize("building", [False, True])
def test_a_true_claim_prints_its_sentence_its_evidence_and_its_profile(building, capsys, monkeypatch):
    monkeypatch.setenv("COURSE_BUILD", str(int(building)))
    set_profile("laptop")
    claim("Two is two.", True, evidence="0.5 [0.4, 0.6]")
    assert capsys.readouterr().out == "Claim holds: Two is two. (0.5 [0.4, 0.6]) [laptop]\n"


@pytest.mark.usefixtures("build")
def test_a_claim_is_not_judged_in_tiny_and_says_so(capsys):
    set_profile("tiny")
    claim("Two is three.", False)
    assert capsys.readouterr().out.startswith("Not judged in the profile tiny")


def test_a_claim_about_the_code_is_judged_in_tiny_too(capsys, monkeypatch):
    set_profile("tiny")
    claim("Two is three.", False, judged_in=EVERY_PROFILE)
    assert capsys.readouterr().out.startswith("Does not hold in this run: Two is three. [tiny].")
    monkeypatch.setenv("COURSE_BUILD", "1")
    with pytest.raises(ClaimFailed, match="Two is three"):
        claim("Two is three.", False, judged_in=EVERY_PROFILE)


def test_the_same_notebook_fails_the_build_and_goes_on_for_a_learner(monkeypatch):
    cells = [
        "from transfer_utils.lesson import claim\nmeasured = 0.4  # the learner changed it",
        'claim("It is right more often than not.", measured > 0.5, measured)',
        'print("the next cell")',
    ]
    monkeypatch.setenv("PYTHONPATH", str(checkout()))
    monkeypatch.setenv("TRANSFER_PROFILE", "laptop")

    def run():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        NotebookClient(notebook, timeout=120).execute()
        return ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]

    _, said, after = run()
    assert said.startswith("Does not hold in this run: It is right more often than not. (0.4) [laptop].")
    assert after == "the next cell\n"
    monkeypatch.setenv("COURSE_BUILD", "1")
    with pytest.raises(CellExecutionError, match="ClaimFailed.*It is right more often than not"):
        run()


# --------------------------------------------------------------------- truths


@pytest.mark.parametrize("as_type", [bool, np.bool_, np.array, torch.tensor, lambda one: torch.tensor([one])])
def test_a_truth_may_come_from_numpy_and_torch(as_type, capsys):
    set_profile("laptop")
    claim("Two is two.", as_type(True))
    claim("Two is three.", as_type(False))
    held, failed = capsys.readouterr().out.splitlines()
    assert held.startswith("Claim holds: Two is two.")
    assert failed.startswith("Does not hold in this run: Two is three.")


@pytest.mark.parametrize("profile", ["tiny", "laptop"])
@pytest.mark.parametrize(
    ("holds", "message"),
    [
        (Interval(0.1, -0.1, 0.3), "needs True or False, not Interval. Compare: claim.sentence, gain.above, gain."),
        (math.nan, "needs True or False, not float"),
        (1, "not int"),
        ("False", "not str"),
        (None, "not NoneType"),
        ([], "not list"),
        (torch.tensor(0.4), "not Tensor"),
        (np.float64(0.4), "not float64"),
        (np.array("False"), "not ndarray"),
        (torch.tensor([True, False]), "not 2 of them. Say which: .all.. or .any.."),
        (np.array([], dtype=bool), "not 0 of them"),
    ],
)
def test_what_is_no_truth_is_refused_in_every_profile(profile, holds, message, capsys):
    set_profile(profile)
    with pytest.raises(TypeError, match=message):
        claim("A beats B.", holds)
    assert not capsys.readouterr().out


# -------------------------------------------------------------------- reports


def test_runs_are_reported_over_items_and_seeds(capsys):
    labels = torch.tensor([0, 1] * 50)
    right = torch.nn.functional.one_hot(labels, 2).float()
    report_runs("right", "wrong", [right, right], [-right, -right], labels)
    assert "right is above wrong by 1.000" in capsys.readouterr().out


def test_runs_are_reported_in_balanced_accuracy(capsys):
    labels = torch.tensor([0] * 90 + [1] * 10)
    always_zero = torch.tensor([[1.0, 0.0]]).repeat(100, 1)
    right = torch.nn.functional.one_hot(labels, 2).float()
    report_runs("right", "always 0", [right, right], [always_zero, always_zero], labels, balanced=True)
    assert "right is above always 0 by 0.500" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.1, 0.3, "Measured: a is above b by 0.200. (0.200 [0.100, 0.300], 0.200 [0.050, 0.350]) [laptop]"),
        (-0.1, 0.5, "Measured: a and b could not be separated; 0 is a possible difference."),
    ],
)
def test_a_report_is_printed_as_in_the_stored_lessons(low, high, said, capsys):
    set_profile("laptop")
    report_difference("a", "b", Interval(0.2, low, high), Interval(0.2, 0.05, 0.35))
    assert capsys.readouterr().out.startswith(said)
