"""A study in a small notebook: what is live, what is stored, what is stale, and what is said about it."""

import functools
import json
import sys

import numpy as np
import pytest
import torch

from transfer_utils.data.labelled import Splits
from transfer_utils.evaluation.cost import measure
from transfer_utils.lesson import opening, study
from transfer_utils.lesson.studies.files import read_study
from transfer_utils.lesson.studies.key import key_of
from transfer_utils.lesson.studies.runs import StudyOutgrown
from transfer_utils.runtime import profile
from transfer_utils.runtime.files import cache_folder

OPENING = """import torch
from transfer_utils import lesson
profile = lesson.start("42_answers")
size = lesson.sizes(
    epochs=(1, 2, 3),
    seeds=((0, 1), (0, 1, 2, 3), (0, 1)),
)"""
RUN = """def run(seed):
    ran.append(seed)
    return {"scores": torch.randn(30, 2) * size.epochs, "steps": seed}"""
STUDY = 'heads = lesson.study("heads", run, seeds=size.seeds)'


class Notebook:
    """A notebook that runs in this process: cells, and the names they left."""

    def __init__(self, monkeypatch):
        self.cells, self.names = [], {"ran": []}
        module = sys.modules["transfer_utils.lesson.studies.study"]
        monkeypatch.setattr(module, "cells_run_so_far", lambda: (self.cells, self.names))

    def run(self, *cells):
        for cell in cells:
            self.cells.append(cell)
            exec(compile(cell, "cell", "exec"), self.names)
        return self.names.get("heads")

    @property
    def ran(self):
        """The seeds that were computed since the last question."""
        seeds = list(self.names["ran"])
        self.names["ran"].clear()
        return seeds


@pytest.fixture(autouse=True)
def _in_laptop(monkeypatch, tmp_path):
    monkeypatch.setattr(profile, "_current", profile.PROFILES["laptop"])
    monkeypatch.setattr(opening, "_current", "unnamed")
    monkeypatch.setenv("TRANSFER_STUDIES", str(tmp_path / "studies"))
    monkeypatch.delenv("COURSE_STUDIES", raising=False)
    # looking for all garbage before each run takes half a second
    monkeypatch.setattr("transfer_utils.lesson.studies.runs.measure", functools.partial(measure, collect=False))


@pytest.fixture
def notebook(monkeypatch):
    """Return a maker of notebooks, each as after a restart of the kernel."""
    return lambda: Notebook(monkeypatch)


@pytest.fixture
def stored(monkeypatch, notebook, tmp_path):
    """Store the study of the notebook above, as ``make studies`` does, and return its file."""
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_STUDIES", "make")
        notebook().run(OPENING, RUN, STUDY)
    return tmp_path / "studies" / "42_heads.safetensors"


# ------------------------------------------------------------ live and stored


def test_the_first_seed_is_live_and_the_others_are_stored(notebook, stored, capsys):
    capsys.readouterr()
    fresh = notebook()
    heads = fresh.run(OPENING, RUN, STUDY)
    assert fresh.ran == [0]
    assert (heads.seeds, heads.live, len(heads), list(heads)) == ((0, 1, 2, 3), 0, 2, ["scores", "steps"])
    assert heads["scores"].shape == (4, 30, 2)
    assert heads["steps"].tolist() == [0, 1, 2, 3]
    assert len(heads.seconds) == len(heads.peak_mb) == 4
    facts = read_study(stored)
    assert heads.machine == facts.machine
    said = capsys.readouterr().out
    assert said.startswith("Seed 0 is live (")
    origin = f"made from commit {facts.commit} on" if facts.commit else "made on"
    assert f"; seeds 1 to 3 are stored, {origin} {facts.machine}." in said
    assert said.count("\n") == 1


def test_the_live_row_is_the_live_one(notebook, stored, monkeypatch):
    """A small difference, as between kinds of machines, is none: the other rows stay the stored ones."""
    real = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *shape: real(*shape) * 1.01)
    fresh = notebook()
    heads = fresh.run(OPENING, RUN, STUDY)
    assert fresh.ran == [0]
    before = torch.stack([run.results['["scores"]'] for run in read_study(stored).runs.values()]).float()
    assert [torch.equal(now, then) for now, then in zip(heads["scores"], before, strict=True)] == [False, *[True] * 3]


CHANGED_UNSEEN = RUN.replace("size.epochs", "factor()")


def with_factor(fresh, factor):
    """Give a notebook a function that its cells do not define, as the helper package does."""
    fresh.names["factor"] = lambda: factor
    return fresh


@pytest.mark.parametrize("name", ["laptop", "full"])
def test_a_learner_gets_no_stored_rows_beside_a_live_one_that_differs(notebook, monkeypatch, capsys, name):
    monkeypatch.setattr(profile, "_current", profile.PROFILES[name])
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_STUDIES", "make")
        with_factor(notebook(), 1.0).run(OPENING, CHANGED_UNSEEN, STUDY)
    capsys.readouterr()
    fresh = with_factor(notebook(), -1.0)
    heads = fresh.run(OPENING, CHANGED_UNSEEN, STUDY)
    assert fresh.ran == list(heads.seeds)
    said = capsys.readouterr().out
    assert said.startswith("The stored runs do not fit what ran here: seed 0, 'scores', share of items with")
    assert said.count(". Computing seed") == 1
    assert "stored, made" not in said
    # what was kept of the changed code is of no use for other code under the same key
    again = with_factor(notebook(), -1.0)
    assert torch.equal(again.run(OPENING, CHANGED_UNSEEN, STUDY)["scores"], heads["scores"])
    assert again.ran == [0]
    other = with_factor(notebook(), 0.0)
    other.run(OPENING, CHANGED_UNSEEN, STUDY)
    assert other.ran == list(heads.seeds)


def test_stored_runs_of_another_shape_are_computed_again_or_stop_the_build(notebook, monkeypatch, capsys):
    shaped = RUN.replace("randn(30, 2)", "randn(rows(), 2)")

    def with_rows(rows):
        fresh = notebook()
        fresh.names["rows"] = lambda: rows
        return fresh

    with monkeypatch.context() as patch:
        patch.setenv("COURSE_STUDIES", "make")
        with_rows(30).run(OPENING, shaped, STUDY)
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_BUILD", "1")
        with pytest.raises(StudyOutgrown, match=r"is \(20, 2\), stored is \(30, 2\).*make studies LESSONS="):
            with_rows(20).run(OPENING, shaped, STUDY)
    capsys.readouterr()
    fresh = with_rows(20)
    assert fresh.run(OPENING, shaped, STUDY)["scores"].shape == (4, 20, 2)
    assert fresh.ran == [0, 1, 2, 3]
    assert "do not fit what ran here: seed 0, run(seed)['scores'] is (20, 2)" in capsys.readouterr().out


def test_a_fresh_study_needs_no_cache(notebook, stored, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder can be made here")
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "file" / "cache"))
    fresh = notebook()
    assert fresh.run(OPENING, RUN, STUDY).seeds == (0, 1, 2, 3)
    assert fresh.ran == [0]


def test_making_needs_the_name_of_the_folder(notebook, monkeypatch):
    monkeypatch.setenv("COURSE_STUDIES", "make")
    monkeypatch.delenv("TRANSFER_STUDIES")
    fresh = notebook()
    with pytest.raises(ValueError, match=r"TRANSFER_STUDIES names, and it is not set\. To compute them: make studies"):
        fresh.run(OPENING, RUN, STUDY)
    assert fresh.ran == []


def test_a_notebook_may_use_the_name_in_for_something_else(monkeypatch):
    from types import SimpleNamespace

    from transfer_utils.lesson.studies.runs import cells_run_so_far

    for history in (SimpleNamespace(input_hist_parsed=["", "a = 1"]), None):
        shell = SimpleNamespace(user_ns={"In": 5 if history else ["", "a = 1"]}, history_manager=history)
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert cells_run_so_far() == (["", "a = 1"], shell.user_ns)


def test_stored_and_computed_results_are_the_same(notebook, stored):
    with_file = notebook().run(OPENING, RUN, STUDY)
    stored.unlink()
    fresh = notebook()
    without = fresh.run(OPENING, RUN, STUDY)
    assert fresh.ran == [0, 1, 2, 3]
    assert torch.equal(with_file["scores"], without["scores"])
    assert with_file["scores"].dtype == torch.float32


def test_a_run_is_seeded_and_leaves_the_random_state_alone(notebook, stored):
    """What comes after a study does not depend on how many of its runs were stored."""
    after = []
    for keep in (True, False):
        if not keep:
            stored.unlink()
        torch.manual_seed(7)
        heads = notebook().run(OPENING, RUN, STUDY)
        after.append(torch.rand(1).item())
    assert after[0] == after[1]
    assert not torch.equal(heads["scores"][0], heads["scores"][1])


def test_in_tiny_all_is_live_and_nothing_is_read_or_stored(notebook, stored, monkeypatch, capsys):
    stored.write_bytes(b"not a study")
    monkeypatch.setattr(profile, "_current", profile.PROFILES["tiny"])
    monkeypatch.setenv("COURSE_BUILD", "1")
    capsys.readouterr()
    fresh = notebook()
    heads = fresh.run(OPENING, RUN, STUDY)
    assert (fresh.ran, heads.seeds) == ([0, 1], (0, 1))
    assert capsys.readouterr().out == "All 2 seeds are live (profile tiny).\n"
    assert list((cache_folder() / "studies").rglob("*.safetensors")) == []


def test_full_has_a_file_of_its_own(notebook, stored, monkeypatch):
    monkeypatch.setattr(profile, "_current", profile.PROFILES["full"])
    monkeypatch.setenv("COURSE_STUDIES", "make")
    fresh = notebook()
    assert fresh.run(OPENING, RUN, STUDY).seeds == (0, 1)
    assert fresh.ran == [0, 1]
    assert sorted(p.name for p in stored.parent.iterdir()) == ["42_heads.full.safetensors", "42_heads.safetensors"]


def test_arms_are_dicts(notebook, monkeypatch):
    nested = 'def run(seed):\n    return {"a": {"scores": torch.ones(5, 3), "curve": [1, 0.5]}, "b": seed / 3}'
    heads = notebook().run(OPENING, nested, STUDY)
    assert heads["a"]["scores"].shape == (4, 5, 3)
    assert heads["a"]["curve"].tolist() == [[1, 0.5]] * 4
    assert heads["b"].tolist() == [0, 1 / 3, 2 / 3, 1]
    with pytest.raises(KeyError, match="no result 'c'; it has a, b"):
        heads["c"]


def test_a_learner_who_wants_more_seeds_computes_only_those(notebook, stored, capsys):
    fresh = notebook()
    capsys.readouterr()
    heads = fresh.run(OPENING, RUN, 'heads = lesson.study("heads", run, seeds=range(6))')
    assert fresh.ran == [0, 4, 5]
    assert heads["steps"].tolist() == [0, 1, 2, 3, 4, 5]
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("42_heads.safetensors lacks seeds 4 and 5. Computing seeds 4 and 5 here takes about ")
    assert "; seeds 1 to 3 are stored, " in second
    assert second.endswith("; seeds 4 and 5 computed on this machine.")


# ------------------------------------------------------------ stale


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (
            "* size.epochs",
            "+ size.epochs",
            'run: return {"scores": torch.randn(30, 2) * size.epochs, "steps": seed} is now return {"scores": '
            'torch.randn(30, 2) + size.epochs, "steps": seed})',
        ),
        ("epochs=(1, 2, 3)", "epochs=(1, 5, 3)", "size.epochs: 2 is now 5"),
        ("import torch\n", "import torch as torch\n", "torch: import torch is now import torch as torch"),
        ('"heads", run,', '"heads", lambda s: run(s),', "study: study('heads', run) is now study('heads', lambda s:"),
    ],
)
def test_a_changed_line_makes_it_stale_and_is_named(notebook, stored, capsys, old, new, named):
    fresh = notebook()
    capsys.readouterr()
    fresh.run(*(cell.replace(old, new) for cell in (OPENING, RUN, STUDY)))
    assert fresh.ran == [0, 1, 2, 3]
    said = capsys.readouterr().out
    assert f"42_heads.safetensors is stale ({named}" in said
    assert "Computing seeds 1 to 3 here takes about " in said
    assert said.endswith("; seeds 1 to 3 computed on this machine.\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def run(seed):\n", 'def run(seed):\n    """Say what."""\n\n    # and why\n'),
        ("import torch\n", "from math import pi\nimport torch\n"),
        ("epochs=(1, 2, 3)", "epochs=(9, 2, 9), images=(1, 2, 3)"),
        ("heads = lesson", "results = heads = lesson"),
        ("seeds=size.seeds", "seeds=[0, 1, 2], tolerance=0.5"),
    ],
)
def test_what_no_run_needs_changes_nothing(notebook, stored, old, new):
    fresh = notebook()
    fresh.run("unused = 1", *(cell.replace(old, new) for cell in (OPENING, RUN, STUDY)))
    assert fresh.ran == [0]


def test_other_models_make_it_stale(notebook, stored, monkeypatch, capsys):
    profile.set_profile("laptop", backbone="resnet18")
    fresh = notebook()
    fresh.run(OPENING, RUN, STUDY)
    assert fresh.ran == [0, 1, 2, 3]
    assert "profile: laptop, efficientnet_lite0, minilm is now laptop, resnet18, minilm" in capsys.readouterr().out


def test_other_labels_make_it_stale(notebook, monkeypatch, capsys):
    """The same statement can load other data: items, classes and labels count."""
    from tiny import tiny_images

    cells = ["cells = load()", RUN.replace("size.epochs", "len(cells.train)"), STUDY]
    splits = Splits("dots", *(tiny_images(n) for n in (8, 4, 4)), "none", "nobody")
    first = notebook()
    first.names["load"] = lambda: splits
    monkeypatch.setenv("COURSE_STUDIES", "make")
    first.run(OPENING, *cells)
    monkeypatch.delenv("COURSE_STUDIES")
    for other, seeds in ((splits, [0]), (splits.with_train(splits.train.subset([1, 0, 2, 3])), [0, 1, 2, 3])):
        second = notebook()
        second.names["load"] = lambda other=other: other
        second.run(OPENING, *cells)
        assert second.ran == seeds
    assert "data cells: 8 + 4 + 4 items; " in capsys.readouterr().out


def test_the_key_is_text_of_the_notebook_alone(notebook):
    fresh = notebook()
    fresh.run(OPENING, RUN, STUDY)
    key = key_of(fresh.cells, "heads", profile.get_profile(), fresh.names)
    assert key == {
        "study": "study('heads', run)",
        "profile": "laptop, efficientnet_lite0, minilm",
        "run": RUN,
        "torch": "import torch",
        "size.epochs": "2",
    }


# ------------------------------------------------------------ the build


@pytest.fixture
def build(monkeypatch):
    """Let the course be built."""
    monkeypatch.setenv("COURSE_BUILD", "1")


def test_the_build_is_content_with_a_fresh_study(notebook, stored, build):
    fresh = notebook()
    fresh.run(OPENING, RUN, STUDY)
    assert fresh.ran == [0]


def test_the_build_refuses_a_missing_study(notebook, build):
    with pytest.raises(
        StudyOutgrown, match=r"42_heads\.safetensors is missing\. To compute them: make studies LESSONS="
    ):
        notebook().run(OPENING, RUN, STUDY)


def test_the_build_refuses_a_stale_study_before_it_computes(notebook, stored, build):
    fresh = notebook()
    with pytest.raises(StudyOutgrown, match="is stale .size.epochs: 2 is now 5.*make studies LESSONS=notebooks/42_ans"):
        fresh.run(OPENING.replace("(1, 2, 3)", "(1, 5, 3)"), RUN, STUDY)
    assert fresh.ran == []


def test_the_build_refuses_scores_that_the_helpers_no_longer_give(notebook, stored, build, monkeypatch):
    """The helper package has changed, which the key does not see: the live seed does."""
    real = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *shape: real(*shape) * torch.tensor([1.0, -1.0]))
    with pytest.raises(
        StudyOutgrown, match=r"Seed 0 of .* share of items with another class 0\.\d+, more than .* 0\.02"
    ):
        notebook().run(OPENING, RUN, STUDY)
    notebook().run(OPENING, RUN, STUDY.replace("size.seeds", "size.seeds, tolerance=1.0"))


def test_one_chaotic_arm_among_many_may_end_elsewhere(notebook, monkeypatch, build):
    run = 'def run(seed):\n    return {f"arm {a}": {"precision": [(a in moved) * shift]} for a in range(10)}'
    monkeypatch.setenv("COURSE_STUDIES", "make")
    first = notebook()
    first.names |= {"shift": 0.0, "moved": []}
    first.run(OPENING, run, STUDY)
    monkeypatch.delenv("COURSE_STUDIES")
    for moved, fails in (([3], False), (range(10), True)):
        again = notebook()
        again.names |= {"shift": -0.1, "moved": moved}
        if fails:
            with pytest.raises(StudyOutgrown, match="'precision', mean absolute difference 0.1000, mean of 10 arms"):
                again.run(OPENING, run, STUDY)
        else:
            again.run(OPENING, run, STUDY)


def test_seconds_are_refused_since_no_two_machines_share_them(notebook):
    run = 'def run(seed):\n    return {"arm": {"curve": [1.0], "seconds": 3.2}}'
    with pytest.raises(ValueError, match=r"\['arm'\]\['seconds'\]: no two machines share seconds"):
        notebook().run(OPENING, run, STUDY)


@pytest.mark.parametrize(("shift", "fails"), [(0.01, False), (0.03, True), (float("nan"), True)])
def test_numbers_are_compared_by_their_mean_difference(notebook, monkeypatch, build, shift, fails):
    run = 'def run(seed):\n    return {"curve": [1.0 + shift, 2.0 + shift]}'
    monkeypatch.setenv("COURSE_STUDIES", "make")
    first = notebook()
    first.names["shift"] = 0.0
    first.run(OPENING, run, STUDY)
    monkeypatch.delenv("COURSE_STUDIES")
    second = notebook()
    second.names["shift"] = shift
    if fails:
        with pytest.raises(StudyOutgrown, match="mean absolute difference"):
            second.run(OPENING, run, STUDY)
    else:
        second.run(OPENING, run, STUDY)


def test_a_damaged_file_stops_the_build_and_only_tells_a_learner(notebook, stored, capsys, monkeypatch):
    stored.write_bytes(stored.read_bytes()[:-10])
    fresh = notebook()
    fresh.run(OPENING, RUN, STUDY)
    assert fresh.ran == [0, 1, 2, 3]
    assert "42_heads.safetensors is damaged" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_BUILD", "1")
    with pytest.raises(StudyOutgrown, match="is damaged .* Take it from git again"):
        notebook().run(OPENING, RUN, STUDY)


# ------------------------------------------------------------ interrupted


@pytest.mark.parametrize("mode", ["", "make"])
def test_an_interrupted_study_goes_on(notebook, monkeypatch, mode, capsys):
    monkeypatch.setenv("COURSE_STUDIES", mode)
    stop = RUN.replace("ran.append(seed)", "ran.append(seed)\n    if seed == stop_at: raise KeyboardInterrupt")
    first = notebook()
    first.names["stop_at"] = 2
    with pytest.raises(KeyboardInterrupt):
        first.run(OPENING, stop, STUDY)
    assert first.ran == [0, 1, 2]
    second = notebook()
    second.names["stop_at"] = None
    heads = second.run(OPENING, stop, STUDY)
    assert second.ran == ([2, 3] if mode else [0, 2, 3])  # a learner sees the first seed live, always
    assert heads["steps"].tolist() == [0, 1, 2, 3]
    left = list((cache_folder() / "studies").rglob("*.safetensors"))
    assert (len(left) == 0) == bool(mode)  # merged into one file only by make studies


def test_a_damaged_single_run_is_computed_again(notebook):
    notebook().run(OPENING, RUN, STUDY)
    for path in (cache_folder() / "studies").rglob("2.safetensors"):
        path.write_bytes(b"")
    second = notebook()
    second.run(OPENING, RUN, STUDY)
    assert second.ran == [0, 2]


def test_single_runs_of_another_version_of_the_package_are_not_taken(notebook, monkeypatch):
    notebook().run(OPENING, RUN, STUDY)
    monkeypatch.setattr("transfer_utils.lesson.studies.files._package_digest", lambda: "another")
    second = notebook()
    second.run(OPENING, RUN, STUDY)
    assert second.ran == [0, 1, 2, 3]


# ------------------------------------------------------------ wrong use


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ("None", "must return a dict"),
        ("torch.ones(3)", "must return a dict"),
        ("{}", "must return a dict.*an empty one"),
        ("{'a': 'good'}", r"run\(seed\)\['a'\] is str 'good'"),
        ("{'a': None}", "is NoneType 'None'"),
        ("{'a': {'b': ['x', 'y']}}", r"run\(seed\)\['a'\]\['b'\] is list"),
        ("{'a': [[1, 2], [3]]}", "ragged list"),
        ("{'a': []}", r"run\(seed\)\['a'\] is empty"),
        ("{'a': {}}", "is an empty dict"),
        ("{1: 2.0}", "must be texts; 1 is not"),
        ("{'a': torch.ones(2, dtype=torch.complex64)}", "complex"),
        ("{'a': torch.ones(seed + 1)}", r"\['a'\] differs between seeds \(seed 0: \(1,\), seed 1: \(2,\)\)"),
        ("{'a': 1} if seed else {'b': 1}", "seed 1: nothing|seed 0: nothing"),
    ],
)
@pytest.mark.parametrize("name", ["tiny", "laptop"])
def test_a_wrong_result_is_refused(notebook, monkeypatch, name, returned, problem):
    monkeypatch.setattr(profile, "_current", profile.PROFILES[name])
    with pytest.raises((TypeError, ValueError), match=problem):
        notebook().run(OPENING, f"def run(seed):\n    return {returned}", STUDY)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("study('a b', run, seeds=(0,))", "becomes a file name"),
        ("study('heads', run, seeds=())", "at least one; they are"),
        ("study('heads', run, seeds=(0, 0))", "each once"),
        ("study('heads', run, seeds=(0.5,))", "whole numbers"),
        ("study('heads', run, seeds=(-1,))", "none negative"),
        ("study(name, run, seeds=(0,))", "at the top level of a cell.*without a magic such as %%time"),
        ("[study('heads', run, seeds=(0,)) for _ in 'ab' if 1 + 1 == 3] or (lambda f: f('heads', run, seeds=(0, 1)))"
         "(study)", None),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused(notebook, call, problem):
    fresh = notebook()
    fresh.names["name"] = "heads"
    cells = [OPENING, RUN, "from transfer_utils.lesson import study", call]
    if problem is None:
        fresh.run(*cells)
        assert fresh.ran == [0, 1]
    else:
        with pytest.raises(ValueError, match=problem):
            fresh.run(*cells)


def test_a_lesson_without_a_number_is_refused(notebook):
    with pytest.raises(ValueError, match="first call lesson.start"):
        notebook().run(OPENING.replace("42_answers", "answers"), RUN, STUDY)


def test_in_a_script_the_source_is_its_file(tmp_path, capsys):
    import runpy

    script = tmp_path / "script.py"
    script.write_text("\n".join(["ran = []", OPENING, RUN, STUDY]))
    names = runpy.run_path(str(script), run_name="script")
    assert names["ran"] == [0, 1, 2, 3]
    again = runpy.run_path(str(script), run_name="script")
    assert again["ran"] == [0]  # and three that were kept
    assert "seeds 1 to 3 computed on this machine" in capsys.readouterr().out


def test_without_any_source_it_says_so():
    opening.start("42_answers")
    names = {"study": study, "__name__": "nowhere"}
    with pytest.raises(ValueError, match="call it in a notebook, or in a script that is a file"):
        exec("study('heads', lambda seed: {'a': 1}, seeds=(0,))", names)


# ------------------------------------------------------------ what is in the file


def test_the_file_says_where_it_comes_from(stored):
    found = read_study(stored)
    assert list(found.runs) == [0, 1, 2, 3]
    assert found.torch == torch.__version__
    assert found.key["size.epochs"] == "2"
    assert all(run.seconds >= 0 and run.machine for run in found.runs.values())


def test_single_numbers_are_exact_and_scores_are_half_floats(stored):
    from safetensors import safe_open

    with safe_open(stored, "np") as opened:
        kinds = {json.loads(name)[-1]: opened.get_tensor(name).dtype for name in opened.keys()}  # noqa: SIM118
    assert kinds == {"scores": np.float16, "steps": np.int8} or kinds == {"scores": np.float32, "steps": np.int8}
