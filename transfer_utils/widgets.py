"""Sliders: a picture that answers when a learner moves something, and a still one where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .progress import is_static


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
    output = widgets.interactive_output(draw, made)
    display(widgets.VBox([widgets.HBox(list(made.values())), output]))


def _control(label: str, values: Sequence):
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
    return slider(
        value=start, min=low, max=high, step=step[0] if step else (1 if whole else (high - low) / 50),
        description=label, continuous_update=False, style=style,
    )  # fmt: skip
