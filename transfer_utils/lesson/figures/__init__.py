"""Pictures that would be long cells in a lesson, a file a subject; the general ones are in ``plots``.

Each function returns a figure for ``plots.show``, which asks for its alternative text.
"""
