"""Sliders: a picture that answers when a learner moves something, and a still one where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..runtime.progress import is_static


def explore(draw: Callable[..., None], **controls: Sequence) -> None:
    """Show ``draw`` with one control an argument.

    Args:
        draw: makes a picture or prints, from the values of the controls.
        controls: ``name=(start, low, high)`` or ``(start, low, high, step)`` for a slider, a list
            of numbers for a slider over them in order, a list of words for a menu. Lists start at
            their first entry.

    Where outputs are stored (``COURSE_STATIC=1``) one still picture at the start values is shown.

    Example:
        >>> explore(lambda k: print(k * k), k=(2, 1, 10))       # doctest: +SKIP
    """
    start = {name: values[0] for name, values in controls.items()}
    if is_static():
        draw(**start)
        return
    import ipywidgets as widgets
    from IPython.display import display

    made = {name: _control(name.replace("_", " "), values) for name, values in controls.items()}
    display(widgets.VBox([widgets.HBox(list(made.values())), _answering(draw, made)]))


def _answering(draw: Callable[..., None], controls: Mapping[str, Any]) -> Any:
    """Return a widget that shows what ``draw`` prints, and below it what it displays, for the values of ``controls``.

    An error at the start values is raised; one after a control was moved is shown in the widget. What is shown
    is sent as a whole: ``widgets.interactive_output`` lets the front end collect it, and nbclient, which runs
    notebooks without a browser, then waits for ever now and then.
    """
    import ipywidgets as widgets
    from IPython.utils.capture import capture_output

    output = widgets.Output()

    def redraw(change: object = None) -> None:
        with capture_output() as shown:
            try:
                draw(**{name: control.value for name, control in controls.items()})
            except Exception as error:  # whatever it is, the person who moved the slider reads it
                if change is None:
                    raise
                print(f"{type(error).__name__}: {error}")
        text = [{"output_type": "stream", "name": "stdout", "text": shown.stdout + shown.stderr}]
        rich = [{"output_type": "display_data", "data": o.data, "metadata": o.metadata} for o in shown.outputs]
        output.outputs = (*(text if text[0]["text"] else []), *rich)

    for control in controls.values():
        control.observe(redraw, "value")
    redraw()
    return output


def _control(label: str, values: Sequence) -> Any:
    """Return a menu for a list, a slider of whole or real numbers for a tuple. ipywidgets 7 and 8."""
    import ipywidgets as widgets

    style = {"description_width": "initial"}
    if isinstance(values, list) and all(isinstance(value, (int, float)) for value in values):
        return widgets.SelectionSlider(
            options=sorted(values), value=values[0], description=label, continuous_update=False, style=style
        )
    if isinstance(values, list):
        return widgets.Dropdown(options=values, value=values[0], description=label, style=style)
    start, low, high, *step = values
    whole = all(isinstance(value, int) for value in values)
    slider = widgets.IntSlider if whole else widgets.FloatSlider
    step = step[0] if step else 1 if whole else (high - low) / 50
    return slider(value=start, min=low, max=high, step=step, description=label, continuous_update=False, style=style)


def try_text(answer: Callable[[str], None], examples: Sequence[str]) -> None:
    """Ask ``answer`` about a sentence that the learner types, starting with the first of ``examples``.

    Args:
        answer: prints or draws what a model says of one text. An error about a text that was typed is printed: one that
            a tokenizer does not know is no reason to lose the box.

    Where outputs are stored (``COURSE_STATIC=1``) it is called for each of the examples instead.

    Example:
        >>> try_text(lambda text: print(len(text)), ["a fine film"])       # doctest: +SKIP
    """
    if is_static():
        for text in examples:
            answer(text)
        return
    import ipywidgets as widgets
    from IPython.display import display

    wide = widgets.Layout(width="95%")
    box = widgets.Text(value=examples[0], description="sentence", continuous_update=False, layout=wide)
    menu = widgets.Dropdown(options=list(examples), description="examples", layout=wide)
    menu.observe(lambda change: setattr(box, "value", change["new"]), names="value")
    display(widgets.VBox([menu, box, _answering(lambda text: answer(text), {"text": box})]))
