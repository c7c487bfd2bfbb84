"""The lessons as files. It runs before the notebooks do: one that was never executed passes nbval silently."""

import ast
import dataclasses
import json
import re
from collections import Counter

import nbformat
import pytest
from anatomy import is_apart
from lesson_files import LESSONS, ROOT, code, defined, markdown, notebook_at, tree_of, used, without_code
from nbformat.v4 import new_code_cell, new_notebook

from transfer_utils.course.editions import cells_tagged, drift, exercise_number, is_fresh, student_edition, tags
from transfer_utils.runtime.profile import PROFILES, Profile

WRITTEN = ("00_start_here", "01_feature_extraction", "02_fine_tuning", "03_progressive_unfreezing", "06_adapters",
           "07_lora", "08_dann", "09_mmd", "10_prototypical_networks", "13_distillation",
           "15_bert_classification")  # fmt: skip
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md", "notebooks/LEDGER.md")]
FEWEST_CELLS, MOST_CELLS = 35, 75  # of a lesson that waits for its second edition, see test_second_edition.py

LINK = re.compile(r"!?\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\(\s*<?(?P<target>[^)\s>]+)")
HTML_TARGET = re.compile(r"<(?:img|a)\b[^>]*?\b(?:src|href)=[\"']([^\"']+)[\"']", re.I)
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|Users|root|tmp|work|opt|mnt|private|var/folders)/|\b[A-Z]:\\\\?Users")

# Numbers that text may not state from memory: decimals, percentages, factors.
NUMBER = re.compile(
    r"(?<![\w.,])\d*\.\d+(?![\w.])"  # 0.842 or .83, but not 1.2.3
    r"|\d\s*(?:%|percent\b|percentage points?\b)"
    r"|\d\s*(?:times|fold|-fold|x|×)(?![\w×]|\s*\d)"  # 12 times, but not 3 x 3
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|hundred) times (?:as|more|less|faster|slower)\b"
)
NOT_RESULTS = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$"  # code and formulas
    r"|\]\([^)]*\)|https?://\S+|<[^>]+>|(?:arXiv|doi)[: ]\s*\S+"  # addresses
    r"|\b(?i:sections?|chapters?|equations?|eqs?\.|figures?|tables?|algorithms?|lessons?|exercises?|versions?|licen[cs]e|"
    r"Python|PyTorch|torch|BY-NC-SA)\s*\d+(?:\.\d+)*|§\s*\d+(?:\.\d+)*"  # where something stands
    r"|^#+ .*?\d\d\.\d\b|\b95\s*% (?:interval|confidence|band|Student)\w*",  # exercise 01.2; 95 % intervals
    re.S | re.M,
)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return notebook_at(path)


def outputs(notebook):
    return [(cell, output) for cell in code(notebook) for output in cell.outputs]


def printed(notebook):
    """Return all text that the stored outputs hold, pictures left out."""
    parts = []
    for _, output in outputs(notebook):
        parts.append(output.get("text", ""))
        parts += [str(value) for kind, value in output.get("data", {}).items() if not kind.startswith("image/")]
    return "\n".join(parts)


def dead_links(text, folder):
    text = without_code(text)
    targets = [match["target"] for match in LINK.finditer(text)] + HTML_TARGET.findall(text)
    files = [t.split("#")[0] for t in targets if not re.match(r"[a-z][a-z+.-]*:|#", t)]
    return [target for target in files if target and not (folder / target).exists()]


def images_without_text(text):
    text = without_code(text)
    markdown_images = [m[0] for m in re.finditer(r"!\[\s*\]\([^)]*\)", text)]
    html_images = [m for m in re.findall(r"<img\b[^>]*>", text) if not re.search(r"\balt=[\"'][^\"']+[\"']", m)]
    return markdown_images + html_images


def stated_numbers(text):
    """Return the decimals, percentages and factors that ``text`` states outside code, formulas and references."""
    return [match[0].strip() for match in NUMBER.finditer(NOT_RESULTS.sub(" ", text))]


# --- which lessons there are ---


@pytest.mark.parametrize("name", WRITTEN)
def test_lesson_is_written(name):
    assert (ROOT / "notebooks" / f"{name}.ipynb").is_file()


def test_setup_cell_is_the_same_in_all_lessons():
    cells = {path.stem: [cell.source for cell in cells_tagged(notebook_at(path), "setup")] for path in LESSONS}
    assert all(len(sources) == 1 for sources in cells.values()), "a lesson has exactly one cell tagged setup"
    assert len({sources[0] for sources in cells.values()}) <= 1, "the setup cells differ"


def test_helper_version_in_setup_cell_is_the_one_of_the_package():
    import transfer_utils

    for path in LESSONS:
        (cell,) = cells_tagged(notebook_at(path), "setup")
        assert f"@v{transfer_utils.__version__}" in cell.source


# --- the file ---


def test_valid_with_unique_ids(notebook):
    nbformat.validate(notebook)
    ids = [cell.get("id") for cell in notebook.cells]
    assert all(ids)
    assert [cell_id for cell_id, count in Counter(ids).items() if count > 1] == []


def test_executed_once_from_top_to_bottom(notebook):
    cells = [cell for cell in code(notebook) if cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_metadata(notebook):
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    assert [cell.id for cell in notebook.cells if "execution" in cell.metadata] == []


def test_outputs_are_as_new_as_the_code(notebook):
    assert is_fresh(notebook), "the code changed after the outputs were made: make notebooks"


def test_outputs_are_from_laptop(notebook):
    text = printed(notebook)
    assert "Profile: laptop" in text
    for other in ("tiny", "full"):
        assert f"Profile: {other}" not in text
        assert f"[{other}]" not in text
    assert "Not judged in the profile" not in text


def test_no_errors_and_no_warnings_in_outputs(notebook):
    bad = [(cell.id, output.get("text") or output.get("evalue")) for cell, output in outputs(notebook)
           if output.output_type == "error" or output.get("name") == "stderr"]  # fmt: skip
    assert bad == []


def test_no_paths_of_machines(notebook):
    text = "\n".join([*(cell.source for cell in notebook.cells), printed(notebook), json.dumps(notebook.metadata)])
    assert [text[max(0, m.start() - 30) : m.end() + 30] for m in MACHINE_PATH.finditer(text)] == []


# --- reading it ---


def test_one_title(notebook):
    titles = [
        line for cell in markdown(notebook) for line in without_code(cell.source).splitlines() if re.match(r"# ", line)
    ]
    assert len(titles) == 1
    assert notebook.cells[0].source.startswith(titles[0])


def test_pictures_have_alternative_texts(notebook):
    assert [image for cell in markdown(notebook) for image in images_without_text(cell.source)] == []
    silent = [cell.id for cell, output in outputs(notebook) if "image/png" in output.get("data", {})
              and len(output.metadata.get("image/png", {}).get("alt", "")) < 20]  # fmt: skip
    assert silent == []


def test_links_lead_somewhere(path, notebook):
    assert [target for cell in markdown(notebook) for target in dead_links(cell.source, path.parent)] == []


def test_links_to_the_neighbours_and_to_colab(path, notebook):
    text = "\n".join(cell.source for cell in markdown(notebook))
    place = LESSONS.index(path)
    for neighbour in LESSONS[max(0, place - 1) : place] + LESSONS[place + 1 : place + 2]:
        assert f"({neighbour.name})" in text, f"no link to {neighbour.name}"
    assert re.search(rf"colab\.research\.google\.com/github/\S+/notebooks/{re.escape(path.name)}", text)


def test_size(notebook):
    assert FEWEST_CELLS <= len(notebook.cells) <= MOST_CELLS


def columns(cell):
    """Return row -> the columns in which its entries begin, of a cell of sizes; the key ``""`` is its headline."""
    (call,) = [node for node in ast.walk(tree_of(cell)) if isinstance(node, ast.Call)
               and ast.unparse(node.func) == "lesson.sizes"]  # fmt: skip
    headline = cell.source.splitlines()[call.keywords[0].lineno - 2]
    found = {"": [headline.find(word) for word in PROFILES]}
    for row in call.keywords:
        assert isinstance(row.value, ast.Tuple), f"{row.arg}: an entry for each profile, in parentheses"
        found[row.arg] = [entry.col_offset for entry in row.value.elts]
    return found


def asked(notebook, name):
    """Return the attributes of ``name`` that code cells ask for."""
    nodes = [node for cell in code(notebook) for node in ast.walk(tree_of(cell))]
    return {n.attr for n in nodes if isinstance(n, ast.Attribute) and ast.unparse(n.value) == name}


def test_sizes_stand_in_one_cell_with_three_columns(notebook):
    (cell,) = cells_tagged(notebook, "sizes")
    first, *rows = columns(cell).values()
    assert len(first) == 3
    assert [row for row in rows if row != first] == [], "the entries stand below tiny, laptop and full"


def test_the_cell_of_sizes_holds_all_sizes_and_no_others(notebook):
    (cell,) = cells_tagged(notebook, "sizes")
    assert asked(notebook, "size") == columns(cell).keys() - {""}


def test_a_lesson_asks_the_profile_only_for_what_all_lessons_share(notebook):
    shared = {field.name for field in dataclasses.fields(Profile)} | {"judged"}
    assert asked(notebook, "profile") <= shared
    assert not {"get_profile", "set_profile", "PROFILES"} & set().union(*map(used, code(notebook)))


def test_text_states_no_number_from_memory(notebook):
    found = {cell.id: numbers for cell in markdown(notebook)
             if "cited" not in tags(cell) and (numbers := stated_numbers(cell.source))}  # fmt: skip
    assert found == {}, "state it through a claim or an output, or tag the cell 'cited' and name the source"


# --- exercises ---


def test_starters_are_their_solutions_without_the_marked_regions(notebook):
    assert drift(notebook) == []


def test_exercises_have_check_hints_and_solution(path, notebook):
    places = {exercise_number(cell): place for place, cell in enumerate(notebook.cells) if "exercise" in tags(cell)}
    assert 3 <= len(places) <= 5
    for number, start in places.items():
        assert number.startswith(path.stem[:2] + "."), number
        rest = notebook.cells[start + 1 :]
        end = next(i for i, c in enumerate(rest) if "solution" in tags(c) and exercise_number(c) == number)
        between, solution = rest[:end], rest[end]
        assert any("check" in tags(cell) for cell in between), f"{number} has no check"
        told = [notebook.cells[start - 1], *between]  # hints stand below the question, or below the check
        assert any("<details" in cell.source for cell in told if cell.cell_type == "markdown"), f"{number} has no hints"
        assert not any("exercise" in tags(cell) for cell in between), (
            f"{number}: the solution comes after the next exercise"
        )
        assert solution.metadata.get("jupyter", {}).get("source_hidden") is True, (
            f"{number}: the solution is not folded"
        )
        assert is_checked(solution), f"{number}: the solution is not checked"


def is_checked(solution):
    """Return whether a run of the notebook checks the solution: by its block, or by a call as in the first edition."""
    return is_apart(solution) or "must_pass=True" in solution.source


def test_nothing_needs_a_solution(notebook):
    """ "Run all" passes in the student edition: what a solution defines, a starter or another cell defines too."""
    assert needed_from_solutions(notebook) == set()


def needed_from_solutions(notebook):
    """Return the names that other cells use and only a solution defines."""
    solutions = [cell for cell in cells_tagged(notebook, "solution") if cell.cell_type == "code"]
    rest = code(student_edition(notebook))
    only_there = set().union(*map(defined, solutions)) - set().union(*map(defined, rest))
    return only_there & set().union(*map(used, rest))


def test_has_a_claim_a_quiz_and_a_prediction(notebook):
    for tag in ("claim", "quiz", "predict"):
        assert cells_tagged(notebook, tag), f"no cell tagged {tag}"


# --- the documents beside the lessons ---


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document(document):
    text = document.read_text(encoding="utf-8")
    assert dead_links(text, document.parent) == []
    assert images_without_text(text) == []
    assert MACHINE_PATH.findall(without_code(text)) == []


def test_generated_parts_are_in_step(tmp_path):
    """README.md, notebooks/LEDGER.md and data/README.md say what the notebooks, the ledger and the manifest say."""
    import shutil

    from transfer_utils.course.documents import update_data_readme, update_readme

    for folder in ("data", "notebooks"):
        (tmp_path / folder).mkdir()
    generated = ("README.md", "data/README.md", "notebooks/LEDGER.md", "notebooks/ledger.csv")
    for name in (*generated, *(f"notebooks/{p.name}" for p in LESSONS)):
        if (ROOT / name).is_file():
            shutil.copyfile(ROOT / name, tmp_path / name)
    assert not update_readme(tmp_path), "run: make readme"
    assert not update_data_readme(tmp_path), "run: make readme"
    for picture in (tmp_path / "notebooks").glob("images/*.png"):
        assert (ROOT / "notebooks/images" / picture.name).read_bytes() == picture.read_bytes(), "run: make readme"


# --- the checks themselves ---


def solved(source):
    return new_code_cell(source, metadata={"tags": ["solution"], "course": {"exercise": "01.1"}})


@pytest.mark.parametrize(
    ("source", "checked"),
    [('with solution("01.1"):\n    answer = 3', True), ('answer = 3\ncheck("01.1", answer, must_pass=True)', True),
     ("answer = 3", False), ('with solution("01.2"):\n    answer = 3', False)],
)  # fmt: skip
def test_a_solution_that_nothing_checks_is_found(source, checked):
    assert is_checked(solved(source)) is checked


@pytest.mark.parametrize("source", ['with solution("01.1"):\n    answer = helper = 3', "answer = 3"])
def test_a_name_that_only_a_solution_defines_is_found(source):
    needs = new_notebook(cells=[solved(source), new_code_cell("print(answer)")])
    assert needed_from_solutions(needs) == {"answer"}
    starter = new_notebook(cells=[new_code_cell("answer = ..."), *needs.cells])
    assert needed_from_solutions(starter) == set()


@pytest.mark.parametrize(
    "text",
    ["an accuracy of 0.842", "reaches .83 on test", "83 % of the cells", "83% right", "it is 12 times faster",
     "a 12x gain", "three times faster", "12× faster", "gains 2 percentage points", "see Figure 3: .91 is best"],
)  # fmt: skip
def test_numbers_in_prose_are_found(text):
    assert stated_numbers(text)


@pytest.mark.parametrize(
    "text",
    ["section 3.2 of the paper", "a 3 x 3 convolution", "Exercise 01.2", "### 00.2 How many labels", "`lr=0.01`",
     "$x = 0.5$", "a 95 % interval", "CC BY-NC-SA 4.0", "arXiv:1801.06146", "2,624 photographs", "300 × 300 pixels",
     "Python 3.11", "[paper](https://example.org/1.5/2.5)", "EfficientNet-Lite0", "Equation 4.1 says"],
)  # fmt: skip
def test_numbers_that_are_no_results_are_left_alone(text):
    assert stated_numbers(text) == []
