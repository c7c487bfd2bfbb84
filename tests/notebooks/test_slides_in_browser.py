"""Slides as the last row sees them: every slide of a small deck and of the lessons, in a headless Chromium.

``COURSE_SLIDES=folder`` keeps a screenshot of every slide.
"""

import os
import re
from functools import cache

import pytest
from browser import needs_browser, new_page
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from slide_check import HEIGHT, WIDTH, slide_problems, watch

from transfer_utils.course.editions import read_notebook, write_notebook
from transfer_utils.course.slides import slide_count, write_slides
from transfer_utils.runtime.files import checkout

LESSONS = sorted((checkout() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SCREENSHOTS = os.environ.get("COURSE_SLIDES")
pytestmark = needs_browser

IDEA = r"""## The idea

A trained weight $W \in \mathbb{R}^{d \times k}$ stays as it is. Beside it a product of two thin matrices learns:

$$h = W x + \frac{\alpha}{r} B A x, \qquad r \ll \min(d, k)$$"""
ANSWER = """<details><summary>Why does $B$ start at zero?</summary>

So that the network is the same at the start.

</details>"""
CORE = '''class LoRA(nn.Module):
    """A frozen layer plus a product of two small matrices."""

    def __init__(self, layer, rank, alpha):
        super().__init__()
        self.layer, self.scale = layer, alpha / rank  # the layer stays frozen
        self.A = nn.Parameter(torch.randn(rank, layer.in_features) / rank**0.5)
        self.B = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x):
        return self.layer(x) + self.scale * (x @ self.A.T @ self.B.T)'''
PICTURE = """from matplotlib import pyplot as plt
from transfer_utils.lesson import plots
plots.use_course_style()
figure, axes = plt.subplots()
axes.plot([1, 2, 3], [1, 4, 9], "o-")
axes.set(xlabel="labels per class", ylabel="accuracy")
plots.show(figure, "A rising curve of accuracy over labels per class.")"""
TABLE = """import pandas as pd
pd.DataFrame({"method": ["frozen features", "LoRA"], "accuracy": [0.81, 0.86], "seconds": [3, 40]})"""
QUIZ = """from transfer_utils.lesson import quiz
quiz("What comes out at step 0?", {"Noise": "Only A is.", "The base model": "B is zero."}, "The base model")"""


def text(source, kind=None):
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}} if kind else {})


def code(source, kind=None, *tags):
    return new_code_cell(source, metadata={"slideshow": {"slide_type": kind or "-"}, "tags": list(tags)})


def html(content):
    cell = code("draw()", "slide", "hide-input")
    cell.outputs = [new_output("display_data", {"text/html": content})]
    return cell


@pytest.fixture(scope="module")
def page():
    """Yield a page of the browser, the size of a slide."""
    with new_page(WIDTH, HEIGHT) as page:
        yield page


def deck(folder, *cells):
    write_notebook(new_notebook(cells=list(cells)), folder / "00_sample.ipynb")
    return write_slides([folder / "00_sample.ipynb"], folder / "slides")[0]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Return the slides of a small notebook that was run: code, table, picture, formula, quiz, notes, fragments."""
    notebook = new_notebook(cells=[
        text("# 00 · A small change beside a frozen weight\n\n1. see it\n2. write it", "slide"),
        text("Say hello, and wait.", "notes"), code("import sys\nimport torch\nfrom torch import nn", "skip"),
        text(IDEA, "slide"), text("- \\(r(d + k)\\) numbers learn", "fragment"), text(ANSWER, "fragment"),
        text("## By hand, complete", "slide"), code(CORE),
        code("print(768**2)\nprint('noise', file=sys.stderr)", "fragment"),
        text("## What it brings", "slide"), code(PICTURE, None, "hide-input"), text("Read the axes.", "notes"),
        text("### What it costs", "subslide"), code(TABLE), code(QUIZ, "fragment", "hide-input"),
    ])  # fmt: skip
    NotebookClient(notebook, timeout=120).execute()
    folder = tmp_path_factory.mktemp("sample")
    return deck(folder, *notebook.cells)


def test_nothing_is_wrong_with_the_sample(page, sample):
    assert slide_problems(page, sample, SCREENSHOTS) == []
    assert page.evaluate("() => Reveal.getTotalSlides()") == 5


def open_at(page, address, number):
    """Open a deck anew, at a slide from which no fragment was shown yet."""
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("() => window.Reveal?.isReady()")
    page.evaluate("h => Reveal.slide(h, 0, -1)", number)


def test_a_picture_takes_the_room_that_is_left(page, sample):
    open_at(page, sample.as_uri(), 3)
    box = page.locator("section.present section.present img").bounding_box()
    assert box["height"] > 0.7 * HEIGHT


def test_answers_are_folded_and_fragments_wait_for_a_key(page, sample):
    open_at(page, sample.as_uri(), 1)
    slide = page.locator("section.present section.present")
    fragments = slide.locator(".fragment.visible")
    assert fragments.count() == 0
    page.keyboard.press("Space")
    assert fragments.count() == 1
    page.keyboard.press("Space")
    answer = slide.get_by_text("So that the network")
    assert not answer.is_visible()
    slide.locator("summary").click()
    assert answer.is_visible()


def test_the_key_s_opens_the_notes_in_a_second_window(page, sample):
    problems = watch(page)
    open_at(page, sample.as_uri(), 0)
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    notes = opened.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("Say hello, and wait.").wait_for(timeout=15_000)
    page.evaluate("() => Reveal.slide(3, 0)")
    notes.get_by_text("Read the axes.").wait_for(timeout=15_000)
    opened.value.close()
    assert problems == []
    assert not page.get_by_text("Read the axes.").is_visible()


# Where content and footer of each slide stand on their page of paper: left, top, right, bottom.
PLACES_ON_PAPER = """() => [...document.querySelectorAll(".pdf-page")].map(paper => {
    const page = paper.getBoundingClientRect();
    const [above, below] = [".content", "footer"].map(part => paper.querySelector(part).getBoundingClientRect());
    return [above.left - page.left, above.top - page.top, below.right - page.left, below.bottom - page.top];
})"""


def test_a_pdf_has_one_page_a_slide(page, sample):
    page.goto("about:blank")
    page.goto(f"{sample.as_uri()}?print-pdf")
    page.locator(".pdf-page").nth(4).wait_for(state="attached")
    page.emulate_media(media="print")
    places = page.evaluate(PLACES_ON_PAPER)
    page.emulate_media(media="screen")
    assert places == [[0, 0, WIDTH, HEIGHT]] * 5
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 5
    assert set(re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed)) == {b"0 0 960 540"}  # points: 1280 x 720 pixels


LARGE = '<svg xmlns="http://www.w3.org/2000/svg" width="2400" height="800"><rect width="2400" height="800"/></svg>'


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (text("## Too much\n\n" + "One more paragraph of many.\n\n" * 14, "slide"), "sticks out below by"),
        (code("\n".join(f"x{i} = {i}" for i in range(24)), "slide"), "sticks out below by"),
        (text("| " + " | ".join("a_column_name" for _ in range(12)) + " |\n" + "|---" * 12 + "|", "slide"),
         "sticks out right by"),
        (html("<div style='height: 90px; overflow: hidden'>" + "<p>cut off</p>" * 5 + "</div>"), "hides a part"),
        (html("<p>fine <span style='font-size: 13px'>print</span></p>"), "'print' has text of 13.0 pixels"),
        (text("deep $a^{b^{c^{d}}}$", "slide"), "has text of"),
        (html(f"<div class='picture'><img alt='wide' src='data:image/svg+xml;utf8,{LARGE}'></div>".replace('"', "%22")),
         "'wide' is drawn at 0.48 of its size"),
        (html("<p>one</p><img alt='broken' src='data:image/png;base64,AAAA'>"), "'broken' is not loaded"),
        (html("<p></p>"), "nothing is on it"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_slide_is_seen(page, tmp_path, cell, problem):
    assert problem in "\n".join(slide_problems(page, deck(tmp_path, text("## Fine", "slide"), cell)))


@pytest.mark.parametrize(
    ("defect", "problem"),
    [
        ("<img alt='gone' src='gone.png'>", "gone.png is not loaded"),
        ("<script>new Image().src = 'https://a.org/x.png'</script>", "x.png is loaded from the web"),
        ("<script>throw new Error('broken')</script>", "error of a script: broken"),
    ],
)
def test_what_is_wrong_with_a_page_is_seen_though_nobody_refused_it(page, tmp_path, defect, problem):
    written = deck(tmp_path, text("## Fine", "slide"), text("one", "slide"))
    assert slide_problems(page, written) == []
    before = written.read_text(encoding="utf-8")
    assert before.count("<p>one</p>") == 1
    written.write_text(before.replace("<p>one</p>", f"<p>one</p>{defect}"), encoding="utf-8")
    assert problem in "\n".join(slide_problems(page, written))


def test_a_slide_of_an_output_alone_repeats_the_title_and_still_fits(page, sample, tmp_path):
    output = html(f"<div class='picture'><img alt='' src='data:image/svg+xml;utf8,{LARGE}'></div>".replace('"', "%22"))
    output.metadata["slideshow"]["slide_type"] = "subslide"
    written = deck(tmp_path, text("## What it brings", "slide"), output)
    assert [problem for problem in slide_problems(page, written) if "sticks out" in problem or "hides" in problem] == []
    page.evaluate("() => Reveal.slide(0, 1)")
    assert page.locator("section.present section.present h2").inner_text() == "What it brings"


@cache
def has_slides(path):
    return slide_count(read_notebook(path)) > 0


@pytest.mark.parametrize("lesson", [path for path in LESSONS if has_slides(path)], ids=lambda path: path.stem)
def test_nothing_is_wrong_with_the_slides_of_a_lesson(page, tmp_path, lesson):
    (written,) = write_slides([lesson], tmp_path)
    assert slide_problems(page, written, SCREENSHOTS) == []
