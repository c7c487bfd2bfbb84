"""The parts of the README files that are generated: tables from the manifest and the ledger, one picture.

A generated part stands between two comments, ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ..runtime.files import write_atomically
from ..runtime.sources import as_table
from .editions import first_picture, read_notebook

LESSONS = {
    "00_start_here": "Why transfer learning: accuracy against the number of labels",
    "01_feature_extraction": "A frozen network and a new head",
    "02_fine_tuning": "All layers, with a learning rate for each",
    "03_progressive_unfreezing": "The head first, the stem last",
    "04_architectures_and_heads": "Which network, which head",
    "05_embeddings_and_search": "Finding images that look alike",
    "06_adapters": "Adapters between frozen layers",
    "07_lora": "Low-rank changes of frozen weights",
    "08_dann": "Domain adaptation by an adversary",
    "09_mmd": "Domain adaptation by matching statistics",
    "10_prototypical_networks": "Classes from five examples",
    "11_maml": "Learning a start to learn from",
    "12_simclr": "Pretraining without labels",
    "13_distillation": "A small network that learns from a large one",
    "14_multi_task": "One network, several answers",
    "15_bert_classification": "Sentences: frozen, fine-tuned, adapted",
    "16_token_classification": "A label for each word",
    "17_masked_language_modelling": "Pretraining on your own text",
    "18_speech": "Sound",
    "19_pitfalls": "What goes wrong, and how to notice",
    "20_choosing_a_strategy": "Which method for which budget",
    "21_your_own_data": "A folder of your images",
    "22_save_and_ship": "A model file that others can use",
}


PICTURE = Path("notebooks/images/label_budget.png")


def update_readme(root: Path) -> bool:
    """Regenerate the picture, the list of lessons and the table of results in ``README.md``.

    Returns:
        Whether anything changed.
    """
    blocks = {"picture": _picture(root), "lessons": lessons_table(root), "results": results_table(root)}
    return _replace_blocks(root / "README.md", blocks)


def update_data_readme(root: Path) -> bool:
    """Regenerate the table of sources in ``data/README.md`` and return whether it changed."""
    return _replace_blocks(root / "data" / "README.md", {"sources": as_table()})


def lessons_table(root: Path) -> str:
    """Return the table of all lessons; those without a notebook are marked as planned."""
    lines = ["| lesson | about | |", "|---|---|---|"]
    for name, about in LESSONS.items():
        number, words = name.split("_", 1)
        written = (root / "notebooks" / f"{name}.ipynb").is_file()
        title = f"[{number} {words.replace('_', ' ')}](notebooks/{name}.ipynb)" if written else name.replace("_", " ")
        lines.append(f"| {title} | {about} | {'' if written else 'planned'} |")
    return "\n".join(lines) + "\n"


def results_table(root: Path) -> str:
    """Return the ledger as a table, or a sentence where nothing was measured yet."""
    path = root / "notebooks" / "ledger.csv"
    if not path.is_file():
        return "No results are committed yet.\n"
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = [
        "| lesson | method | data | profile | seeds | metric | mean | ± | parameters trained | seconds | peak MB |",
        "|---|---|---|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    return "\n".join([*lines, *(_result(row) for row in rows)]) + "\n"


def _result(row: dict[str, str]) -> str:
    def number(key: str, form: str) -> str:
        return format(float(row[key]), form) if row[key] else ""

    cells = [row["lesson"].split("_")[0], row["method"], row["data"], row["profile"], row["seeds"], row["metric"],
             number("mean", ".3f"), number("spread", ".3f"), number("trainable_params", ",.0f"),
             number("seconds", ",.0f"), number("peak_mb", ",.0f")]  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _picture(root: Path) -> str:
    """Store the picture that lesson 00 tags ``readme-picture``, and return the Markdown that shows it."""
    notebook = root / "notebooks" / "00_start_here.ipynb"
    found = first_picture(read_notebook(notebook), "readme-picture") if notebook.is_file() else None
    if not found:
        return "\n"
    png, alt = found
    target = root / PICTURE
    if not target.is_file() or target.read_bytes() != png:
        write_atomically(target, lambda part: part.write_bytes(png))
    return f"![{alt.replace('[', '(').replace(']', ')')}]({PICTURE.as_posix()})\n"


def _replace_blocks(path: Path, blocks: dict[str, str]) -> bool:
    """Replace the text between the comments of each block; write only where something changed.

    Raises:
        ValueError: the file lacks the comments of a block.
    """
    before = text = path.read_text(encoding="utf-8")
    for name, content in blocks.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{path} must hold {begin.strip()} and {end} once each.")
        head, rest = text.split(begin)
        text = head + begin + content + end + rest.split(end)[1]
    if text != before:
        write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
    return text != before
