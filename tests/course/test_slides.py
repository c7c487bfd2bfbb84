"""Slides as files: which cell stands on which slide, what is shown of it, and that nothing comes from the web."""

import re
import sys

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from transfer_utils.__main__ import main
from transfer_utils.course import slides
from transfer_utils.course.editions import write_notebook
from transfer_utils.course.slide_cells import cell_html
from transfer_utils.course.slide_safety import loaded_from_the_web
from transfer_utils.course.slide_text import code_size, formula_html, markdown_html
from transfer_utils.course.slides import deck_html, slide_count, slides_of, write_slides

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def text(source, kind=None):
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}} if kind else {})


def code(source, kind=None, *tags, outputs=()):
    metadata = {"slideshow": {"slide_type": kind}} if kind else {}
    return new_code_cell(source, metadata=metadata | {"tags": list(tags)}, outputs=list(outputs))


def shown(cell, decks=(), folder="."):
    return cell_html(cell, folder, set(decks))


def displayed(**forms):
    data = {name.replace("_", "/", 1): content for name, content in forms.items()}
    return code("draw()", None, "hide-input", outputs=[new_output("display_data", data)])


@pytest.fixture
def written(tmp_path):
    """Return a maker of decks: cells -> the text of the page that write_slides makes of them."""

    def write(*cells, name="01_lesson"):
        write_notebook(new_notebook(cells=list(cells)), tmp_path / f"{name}.ipynb")
        (page,) = write_slides([tmp_path / f"{name}.ipynb"], tmp_path / "out")
        return page.read_text(encoding="utf-8")

    return write


# ------------------------------------------------- which cell on which slide


def test_cells_are_put_on_slides_by_their_types():
    cells = [text("a"), text("b", "-"), text("c", "fragment"), text("d"), text("e", "notes"), text("f"),
             text("g", "skip"), text("h"), text("i", "subslide"), text("j", "slide"), text("k", "fragment"),
             text("l", "fragment")]  # fmt: skip
    found = slides_of(new_notebook(cells=cells))
    blocks = [["".join(cell.source for cell in block) for block in slide.blocks] for slide in found]
    assert blocks == [["ab", "cdfh"], ["i"], ["j", "k", "l"]]
    assert [slide.below for slide in found] == [False, True, False]
    assert ["".join(cell.source for cell in slide.notes) for slide in found] == ["e", "", ""]
    assert slide_count(new_notebook(cells=cells)) == 3


def test_a_deck_that_opens_with_what_is_skipped_or_a_subslide_starts_with_a_slide():
    found = slides_of(new_notebook(cells=[text("a", "skip"), text("b", "subslide"), text("c", "slide")]))
    assert [slide.below for slide in found] == [False, False]


def test_a_lesson_without_slide_types_has_no_slides():
    assert slide_count(new_notebook(cells=[text("# a"), code("1")])) == 0


def test_an_unknown_slide_type_is_refused():
    with pytest.raises(ValueError, match="'slides' of cell .* is none of slide, subslide"):
        slides_of(new_notebook(cells=[text("a", "slides")]))


def test_the_page_holds_slides_fragments_notes_and_page_numbers(written):
    page = written(text("# 01 · Title & more", "slide"), text("Say *hello*.", "notes"), text("second", "subslide"),
                   text("later", "fragment"), text("never shown", "skip"), text("## Third", "slide"))  # fmt: skip
    assert re.findall(r"<span>(\d) / (\d)</span>", page) == [("1", "3"), ("2", "3"), ("3", "3")]
    assert "<title>01 · Title &amp; more</title>" in page
    assert '<aside class="notes">\n<p>Say <em>hello</em>.</p>' in page
    assert '<div class="fragment">\n<p>later</p>' in page
    assert "never shown" not in page
    assert page.count("<section>\n<section") == 2  # two stacks: the second slide is below the first
    assert page.count('class="title"') == 1


def test_a_slide_without_a_heading_repeats_the_title_of_the_one_before(written):
    page = written(text("no title yet", "slide"), text("## The *data*\n\n### A part", "slide"),
                   displayed(text_plain="7"), text("a", "subslide"), text("b", "slide"),
                   text("### Next", "slide"), text("c", "subslide"), text("## Later", "fragment"))  # fmt: skip
    assert re.findall(r'<h2 class="again">(.*)</h2>\n+<p>(.)</p>', page) == [("The <em>data</em>", "a"),
                                                                            ("The <em>data</em>", "b")]  # fmt: skip
    assert page.count('class="again"') == 2  # not before the first title, nor where a fragment brings one


# ------------------------------------------------------ what is shown of a cell


def test_tags_choose_code_or_output():
    outputs = [new_output("stream", text="a result")]
    both, no_code, no_output = (shown(code("x = 1", None, *tags, outputs=outputs))
                                for tags in ((), ("hide-input",), ("hide-output",)))  # fmt: skip
    assert ("<code>" in both, "a result" in both) == (True, True)
    assert ("<code>" in no_code, "a result" in no_code) == (False, True)
    assert ("<code>" in no_output, "a result" in no_output) == (True, False)


def test_stderr_and_live_widgets_are_not_shown_and_a_still_picture_is():
    widget = {"application_vnd.jupyter.widget-view+json": {"model_id": "1"}, "text_plain": "FloatSlider()"}
    assert shown(code("", outputs=[new_output("stream", name="stderr", text="a warning")])) == ""
    assert shown(displayed(**widget)) == ""
    assert "<img" in shown(displayed(**widget, image_png=PNG))


def test_of_several_forms_the_best_is_shown():
    assert "<table>" in shown(displayed(text_html="<table></table>", text_plain="a table"))
    assert "a table" not in shown(displayed(text_html="<table></table>", text_plain="a table"))
    assert "1 &lt; 2" in shown(displayed(text_plain="1 < 2"))
    assert "<math" in shown(displayed(text_latex="$x^2$"))
    assert "<em>" in shown(displayed(text_markdown="*so*"))


def test_pictures_keep_their_alternative_text():
    cell = displayed(image_png=PNG)
    cell.outputs[0].metadata["image/png"] = {"alt": 'A "rising" curve.'}
    assert f'src="data:image/png;base64,{PNG}" alt="A &quot;rising&quot; curve."' in shown(cell)
    assert 'src="data:image/svg+xml;utf8,%3Csvg' in shown(displayed(**{"image_svg+xml": "<svg></svg>"}))


def test_an_error_among_the_outputs_is_refused():
    failed = code("1 / 0", outputs=[new_output("error", ename="ZeroDivisionError", evalue="division by zero")])
    with pytest.raises(ValueError, match="ZeroDivisionError: division by zero. Run the notebook"):
        shown(failed)


def test_colours_of_a_terminal_become_html():
    printed = shown(code("", outputs=[new_output("stream", text="\x1b[31mred\x1b[0m <b>")]))
    assert 'class="ansi-red-fg"' in printed
    assert "&lt;b&gt;" in printed


@pytest.mark.parametrize(("longest", "size"), [(10, 24), (77, 24), (90, 20), (120, 18)])
def test_code_is_as_large_as_its_longest_line_allows(longest, size):
    assert code_size("x\n" + "y" * longest) == size


def test_a_printed_sentence_is_broken_and_large():
    assert "font-size: 22px" in shown(code("", outputs=[new_output("stream", text="word " * 40)]))
    assert "font-size: 18px" in shown(code("x = 1  # " + "y" * 200))


# --------------------------------------------------------- text and formulas


@pytest.mark.parametrize("source", [r"$\alpha$", r"\(\alpha\)", r"\\(\alpha\\)", "| a |\n|---|\n| $\\alpha$ |",
                                    r"<details><summary>Why $\alpha$?</summary>", "- a\n- $\\alpha$"])  # fmt: skip
def test_formulas_in_lines_become_mathml(source):
    drawn = markdown_html(source, ".", set())
    assert re.search(r'<math [^>]*display="inline".*<mi>(α|&#x003B1;)</mi>', drawn)
    assert "$" not in drawn


@pytest.mark.parametrize("source", ["$$\nx = \\frac{1}{2}\n$$", r"\[x = \frac{1}{2}\]",
                                    "\\begin{align}x &= \\frac{1}{2}\\end{align}"])  # fmt: skip
def test_formulas_of_their_own_become_mathml(source):
    drawn = markdown_html(source, ".", set())
    assert 'display="block"' in drawn
    assert "<mfrac>" in drawn


def test_money_and_code_are_no_formulas():
    assert markdown_html("5 \\$ and `$x$`", ".", set()) == "<p>5 $ and <code>$x$</code></p>\n"


SPACED, BEFORE, AFTER, TIGHT = (
    f'<mo lspace="{left}em" rspace="{right}em">' for left in ("0.167", "0") for right in ("0.167", "0")
)


@pytest.mark.parametrize(("latex", "drawn"), [
    (r"\log x", f"<mrow>{AFTER}log</mo><mi>x</mi>"), (r"y \log x", f"</mi>{SPACED}log</mo><mi>x</mi>"),
    (r"-\log(x)", f"</mo>{TIGHT}log</mo><mo"), (r"2 \operatorname{softmax}(x)", f"</mn>{BEFORE}softmax</mo><mo"),
    (r"\min(d, k)", f"<mrow>{TIGHT}min</mo><mo"), (r"x_i \log_2 x", f"</msub><msub>{SPACED}log</mo><mn>2</mn></msub>"),
    (r"\exp\left(x\right)", f"{TIGHT}exp</mo><mrow>"), (r"\mathcal{L}_\mathrm{CE}", "<mi>CE</mi></msub>"),
    (r"\log \mathrm{softmax}(x)", f"{AFTER}log</mo><mi>softmax</mi>"),
    (r"\big(x\big)_y", "<msub><mrow><mo minsize=\"1.2em\" maxsize=\"1.2em\">)</mo></mrow><mi>y</mi></msub>"),
])  # fmt: skip
def test_functions_words_and_large_brackets_are_set_as_tex_does(latex, drawn):
    assert drawn in formula_html(latex)


@pytest.mark.parametrize(("latex", "named"), [(r"\left( x", "left"), (r"\nosuchthing x", "nosuchthing")])
def test_a_formula_that_cannot_be_drawn_is_named(latex, named):
    with pytest.raises(ValueError, match=named):
        formula_html(latex)


def test_details_stay_one_folded_element():
    drawn = markdown_html("<details><summary>Why?</summary>\n\nBecause *so*.\n\n</details>", ".", set())
    assert re.fullmatch(r"<details><summary>Why\?</summary>\n+<p>Because <em>so</em>.</p>\n</details>\n+", drawn)


def test_links_lead_to_slides_or_the_web_or_nowhere():
    source = "[a](02_b.ipynb) [c](03_d.ipynb) [e](../data/README.md) [f](https://g.org/?a=1&b=2)"
    assert markdown_html(source, ".", {"02_b"}) == (
        '<p><a href="02_b.html">a</a> c e <a href="https://g.org/?a=1&amp;b=2" target="_blank">f</a></p>\n'
    )


def test_pictures_of_the_text_travel_in_the_page_and_badges_become_words(tmp_path, image_tree):
    image_tree({"images": 1}, root=tmp_path)
    drawn = markdown_html("![one](images/0.png) [![badge](https://a.org/b.svg)](https://c.org)", tmp_path, set())
    assert '<img src="data:image/png;base64,' in drawn
    assert 'alt="one"' in drawn
    assert '<a href="https://c.org" target="_blank">badge</a>' in drawn
    with pytest.raises(ValueError, match="gone.png is not where the notebook looks for it"):
        markdown_html("![gone](images/gone.png)", tmp_path, set())


# -------------------------------------------------------- nothing from the web


@pytest.mark.parametrize("html", [
    "<img srcset='images/a.png 1x, https://a.org/x.png 2x'>", "<link rel=preload imagesrcset='a.png,//a.org/b.png 2x'>",
    "<table background='https://a.org/x.png'>", "<style>p { src: URL(https://a.org/x.png) }</style>",
    "<link rel=stylesheet href=//a.org/x.css>",
    "<img src='http://a.org/x.png'>", "<div style='background: url(https://a.org/x.png)'>",
    "<style>@import 'https://a.org/x.css';</style>", "<style>p { src: url(\"//a.org/f.woff\") }</style>",
    "<video poster='https://a.org/x.png'>", "<svg><image href='https://a.org/x.png'/></svg>",
])  # fmt: skip
def test_what_would_be_loaded_from_the_web_is_found_and_refused(html, tmp_path):
    assert [address.partition("//")[2][:5] for address in loaded_from_the_web(html)] == ["a.org"]
    with pytest.raises(ValueError, match="01.ipynb: the slides would load .*a.org"):
        deck_html(new_notebook(cells=[text(html, "slide")]), tmp_path / "01.ipynb")


@pytest.mark.parametrize("html", [
    "<script>fetch('https://a.org/x')</script>", "<SCRIPT src='https://a.org/x.js'></SCRIPT>",
    "<iframe src='x.html'></iframe>",
    "<iframe srcdoc='&lt;img src=//a.org/x.png>'></iframe>", "<object data='x.svg'></object>", "<embed src='x.svg'>",
    "<meta http-equiv='refresh' content='0; url=https://a.org'>", "<img src='data:,' onerror='go()'>",
    "<a href='javascript:go()'>a</a>", "<base href='/'>",
])  # fmt: skip
def test_what_runs_or_leads_away_by_itself_is_refused_on_slides_and_in_notes(html, tmp_path):
    cells = ([text(html, "slide")], [displayed(text_html=html)], [displayed(text_markdown=html)],
             [text("a", "slide"), text(html, "notes")])  # fmt: skip
    for shown_there in cells:
        with pytest.raises(
            ValueError, match=r"01.ipynb, slide 1: <[a-z]+.*> stands on it, .* Tag the cell hide-output"
        ):
            deck_html(new_notebook(cells=shown_there), tmp_path / "01.ipynb")


def test_code_about_scripts_and_frames_is_allowed(tmp_path):
    words = "<script> <iframe> onclick='x' </section>"
    cells = [text(f"`{words}`\n\n```\n{words}\n```", "slide"), code(f'x = "{words}"'), displayed(text_plain=words)]
    assert deck_html(new_notebook(cells=cells), tmp_path / "01.ipynb").count("&lt;iframe&gt;") == 4


TABLE = ("<div>\n<style scoped>\n    .dataframe tbody tr th {\n        vertical-align: top;\n    }\n</style>\n"
         '<table border="1" class="dataframe"><tbody><tr><th>0</th></tr></tbody></table>\n</div>')  # fmt: skip


def test_the_style_of_an_output_counts_only_in_outputs():
    drawn = shown(displayed(text_html=TABLE))
    assert re.search(
        r"<style scoped>[.]output {\s+[.]dataframe tbody tr th {\s+vertical-align: top;\s+} }</style>", drawn
    )
    assert '<table border="1" class="dataframe">' in drawn
    hides = "<style>body { display: none }</style>"
    for form in ("text_html", "text_markdown"):
        assert "<style>.output {body { display: none } }</style>" in shown(displayed(**{form: hides}))
    assert "body" not in shown(displayed(text_html="<style>a {} } body { display: none } {</style>"))
    assert "'}'" in shown(displayed(text_html="<style>a { content: '}' }</style>"))


@pytest.mark.parametrize("html", ["<style>body { }", "<!-- a"])
def test_an_output_that_would_hide_the_next_slides_is_refused(html):
    with pytest.raises(ValueError, match="without .*, and would hide what comes after it"):
        shown(displayed(text_html=html))


@pytest.mark.parametrize(("html", "safe"), [
    ("a</section>b", "a&lt;/section&gt;b"), ("a<section id='x'>b", "a&lt;section id=&#x27;x&#x27;&gt;b"),
    ("<section>a</section>", "<section>a</section>"),
    ("</SECTION ><section>a</section>", "&lt;/SECTION &gt;<section>a</section>"),
])  # fmt: skip
def test_a_loose_section_does_not_end_the_slide(html, safe, written):
    assert safe in shown(displayed(text_html=html))
    page = written(text("first", "slide"), displayed(text_html=html), text(html), text(html, "notes"))
    assert page.count(safe) == 3
    assert page.count("<section") == page.count("</section>") == 2 + 3 * safe.count("<section")


@pytest.mark.parametrize("image", [
    '<img src="images/0.png" width="3">', "<p>\n<IMG alt='a' src='images/0.png'>\n</p>",
    "words <img src=images/0.png> more", "<img data-src='x.png' src='images/0.png'>",
])  # fmt: skip
def test_pictures_of_html_travel_in_the_page_too(image, tmp_path, image_tree):
    image_tree({"images": 1}, root=tmp_path)
    for cell in (text(image), displayed(text_html=image), displayed(text_markdown=image)):
        drawn = shown(cell, folder=tmp_path)
        assert re.search(r'(?i)<img[^>]* src="data:image/png;base64,', drawn)
        assert "images/0.png" not in drawn
        with pytest.raises(ValueError, match="images/0.png is not where the notebook looks for it"):
            shown(cell, folder=tmp_path / "images")


def test_attached_pictures_travel_in_the_page_and_missing_ones_are_named():
    cell = text("<img src='attachment:a.png'> ![b](attachment:a.png)")
    cell.attachments = {"a.png": {"image/png": PNG}}
    assert shown(cell).count(f'src="data:image/png;base64,{PNG}"') == 2
    for source in ("<img src='attachment:b.png'>", "![b](attachment:b.png)"):
        with pytest.raises(ValueError, match="attachment:b.png is not where"):
            shown(text(source))


def test_links_and_words_about_the_web_are_allowed():
    html = "<a href='https://a.org'>a</a> <pre>@import 'https://b.org'; url(https://c.org)</pre><img src='data:x'>"
    assert loaded_from_the_web(html) == []


def test_the_page_and_what_lies_beside_it_load_nothing_from_the_web(written, tmp_path):
    page = written(text("# Title with [a link](https://a.org)", "slide"), code("x = 1"))
    out = tmp_path / "out"
    assert loaded_from_the_web(page) == []
    beside = re.findall(r'(?:src|href)="(reveal\.js/[^"]+)"', page)
    assert len(beside) == 5
    assert [name for name in beside if not (out / name).is_file()] == []
    for style in out.rglob("*.css"):
        assert loaded_from_the_web(f"<style>{style.read_text()}</style>") == []
    assert (out / "reveal.js" / "LICENSE").is_file()


# -------------------------------------------------------------------- the whole


def test_lessons_without_types_are_left_out_and_said(tmp_path, capsys):
    paths = [tmp_path / f"0{number}_lesson.ipynb" for number in (1, 2)]
    write_notebook(new_notebook(cells=[text("# One\n\n[two](02_lesson.ipynb)", "slide")]), paths[0])
    write_notebook(new_notebook(cells=[text("# Two")]), paths[1])
    assert [path.name for path in write_slides(paths, tmp_path / "out")] == ["01_lesson.html"]
    assert "02_lesson.ipynb: no cell has a slide type" in capsys.readouterr().err
    assert "02_lesson.html" not in (tmp_path / "out" / "01_lesson.html").read_text()
    with pytest.raises(ValueError, match="no cell of these lessons has a slide type. Set it in JupyterLab"):
        write_slides(paths[1:], tmp_path / "out")


@pytest.mark.parametrize("cells", [
    [text("fine", "slide"), code("x = 1", "slide", "hide-input")],
    [text("fine", "slide"), text("only words of the speaker", "skip"), text(r"$\nosuch$", "slide")],
])  # fmt: skip
def test_a_slide_that_cannot_be_made_is_named_and_nothing_is_written(written, tmp_path, cells):
    with pytest.raises(ValueError, match="01_lesson.ipynb, slide 2: "):
        written(*cells)
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(slides.NEEDED, "no_such_module", "no-such-package")
    write_notebook(new_notebook(cells=[text("# a", "slide")]), tmp_path / "a.ipynb")
    assert main(["slides", str(tmp_path / "a.ipynb"), str(tmp_path / "out")]) == 1
    assert "slides need no-such-package: python -m pip install no-such-package" in capsys.readouterr().err


def test_the_same_lesson_gives_the_same_page_and_sphinx_is_not_imported(written):
    cells = [text("# Title", "slide"), code("x = 1", outputs=[new_output("stream", text="a")])]
    assert written(*cells) == written(*cells)
    assert "sphinx_revealjs" not in sys.modules
