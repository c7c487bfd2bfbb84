"""Short quizzes that work everywhere, without a network, a server or JavaScript."""

from __future__ import annotations

import html

from IPython.display import HTML, display


def quiz(question: str, options: dict[str, str], answer: str) -> None:
    """Show a question whose options unfold, each with why it is right or wrong.

    Args:
        question: plain text.
        options: option -> explanation, in the order shown.
        answer: the option that is right.

    Raises:
        ValueError: ``answer`` is not among the options, or there is only one.
    """
    if answer not in options or len(options) < 2:
        raise ValueError(f"The answer {answer!r} must be one of two or more options: {list(options)}.")
    verdict = {True: "Right.", False: "No."}
    rows = "".join(
        f"<details style='margin:0.3em 0 0.3em 1em'><summary>{html.escape(option)}</summary>"
        f"<p style='margin-left:1.5em'><b>{verdict[option == answer]}</b> {html.escape(why)}</p></details>"
        for option, why in options.items()
    )
    display(HTML(f"<p><b>{html.escape(question)}</b> Open the option you choose.</p>{rows}"))
