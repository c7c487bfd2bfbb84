"""What is generated outside the notebooks: headlines, the list of lessons, the ledger page."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from transfer_utils.course import documents
from transfer_utils.course.editions import write_notebook
from transfer_utils.course.headlines import Claim, claims_of, finding_of, headlines_table, questions_of

LEDGER = (
    "lesson,method,data,profile,seeds,metric,mean,spread,trainable_params,seconds,peak_mb\n"
    "01_feature_extraction,frozen | features,ELPV,laptop,3,test accuracy,0.84215,0.006,2562,31.4,\n"
    "01_feature_extraction,majority,ELPV,laptop,1,test accuracy,0.687,,0,,\n"
)
MARKS = "".join(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n" for name in ("picture", "lessons", "headlines"))


def printing(*lines, tags=()):
    """Return a code cell whose stored output holds these lines."""
    cell = new_code_cell("claim(...)", metadata={"tags": list(tags)})
    cell.outputs = [new_output("stream", name="stdout", text="".join(f"{line}\n" for line in lines))]
    return cell


def lesson(*cells, title="# 01 · Features\n\n**How far do frozen features carry?**"):
    return new_notebook(cells=[new_markdown_cell(title), *cells])


@pytest.fixture
def root(tmp_path):
    """Return a course of two lessons: one with a headline, one of the first edition."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "README.md").write_text(f"Above.\n{MARKS}Below.\n")
    (tmp_path / "notebooks/ledger.csv").write_text(LEDGER)
    good = printing("Claim holds: They reach 0.84. (0.84 [0.82, 0.86]) [laptop]", tags=["claim", "headline"])
    old = "# 02\n\n**The question of this lesson: what can\nbe destroyed?**"
    write_notebook(lesson(good), tmp_path / "notebooks/01_feature_extraction.ipynb")
    write_notebook(lesson(title=old), tmp_path / "notebooks/02_fine_tuning.ipynb")
    return tmp_path


# --- headlines ---


@pytest.mark.parametrize(
    ("line", "claim"),
    [
        ("Claim holds: A is 0.1 above B. [laptop]", Claim("A is 0.1 above B.", "")),
        ("Claim holds: A wins! (0.1 [0, 0.2], 3 (of 3)) [laptop]", Claim("A wins!", "0.1 [0, 0.2], 3 (of 3)")),
        ("Claim holds: A. (x) is B. (y) [laptop]", Claim("A. (x) is B.", "y")),
    ],
)  # fmt: skip
def test_a_claim_is_read_from_what_it_printed(line, claim):
    assert claims_of([printing("before", line, "after")]) == [claim]


@pytest.mark.parametrize(
    "line",
    ["Claim holds: A is above B. [tiny]", "Not judged in the profile tiny: A.",
     "This does not hold in this run: A. [laptop]", "Measured: A is above B by 0.1. (0.1 [0.0, 0.2]) [laptop]"],
)  # fmt: skip
def test_what_is_no_claim_that_holds_is_none(line):
    assert claims_of([printing(line)]) == []


def test_the_cell_tagged_headline_comes_before_any_other_claim():
    sure = printing("Claim holds: B. (0.1 [0.0, 0.2]) [laptop]")
    chosen = printing("Claim holds: A. [laptop]", "Claim holds: C. [laptop]", tags=["headline"])
    assert finding_of(lesson(sure, chosen)) == "A."
    assert finding_of(lesson(sure, printing("nothing", tags=["headline"]))) == ""


def test_without_a_headline_the_first_claim_with_an_interval_is_shown():
    plain, sure = printing("Claim holds: A. (3 of 3) [laptop]"), printing("Claim holds: B. (-0.1 [-0.2, 0.0]) [laptop]")
    assert finding_of(lesson(plain, sure)) == "B."
    assert finding_of(lesson(plain)) == ""


def test_a_question_is_bold_and_ends_in_a_question_mark():
    title = "# 1\n\n**Not a question.** *Needs:* nothing?\n\n**The question of this lesson: why\nnot?**"
    assert questions_of(lesson(title=title)) == ["Why not?"]
    assert questions_of(lesson(title="# 1\n\n**What?** and **who?**")) == ["What?", "Who?"]
    assert questions_of(new_notebook()) == []


def test_the_table_links_each_lesson_to_its_question_and_finding(root):
    assert headlines_table(root).splitlines()[2:] == [
        "| [01](notebooks/01_feature_extraction.ipynb) | How far do frozen features carry? | They reach 0.84. |",
        "| [02](notebooks/02_fine_tuning.ipynb) | What can be destroyed? |  |",
    ]


# --- the other tables ---


def test_lessons_without_a_notebook_are_planned(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/00_start_here.ipynb").touch()
    table = documents.lessons_table(tmp_path)
    assert "[00 start here](notebooks/00_start_here.ipynb)" in table
    assert table.count("planned") == len(documents.LESSONS) - 1 == 22


def test_results_table_shows_the_ledger(root):
    table = documents.results_table(root)
    assert "| 01 | frozen / features | ELPV | laptop | 3 | test accuracy | 0.842 | 0.006 | 2,562 | 31 |  |" in table
    assert "| 01 | majority | ELPV | laptop | 1 | test accuracy | 0.687 |  | 0 |  |  |" in table
    (root / "notebooks/ledger.csv").unlink()
    assert documents.results_table(root) == "No results are committed yet.\n"


# --- the files ---


def test_readme_and_ledger_page_are_written_once(root):
    assert documents.update_readme(root)
    text, page = (root / "README.md").read_text(), (root / "notebooks/LEDGER.md").read_text()
    assert text.startswith("Above.\n")
    assert text.endswith("Below.\n")
    assert "They reach 0.84." in text
    assert "0.842" in page
    assert "frozen / features" not in text
    assert not documents.update_readme(root)


@pytest.mark.parametrize("name", ["README.md", "notebooks/LEDGER.md"])
def test_either_file_out_of_step_is_a_change(root, name):
    documents.update_readme(root)
    path = root / name
    good = path.read_text()
    path.write_text(good.replace("0.84", "0.99"))
    assert documents.update_readme(root)
    assert path.read_text() == good


def test_the_ledger_page_explains_every_column_that_does_not_explain_itself(root):
    shown = documents.results_table(root).splitlines()[0].strip("| ").split(" | ")
    named = {"lesson", "method", "data", "metric"}
    assert [column for column in shown if column not in named and f"| {column} |" not in documents.LEDGER_PAGE] == []


def test_document_without_marks_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("nothing to replace")
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(ValueError, match="must hold"):
        documents.update_readme(tmp_path)
