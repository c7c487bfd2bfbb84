"""The stored studies belong to the lessons as they are: none stale, none missing, none left over, not too large."""

from transfer_utils.course.studies import stale_studies
from transfer_utils.runtime.files import checkout

NOTEBOOKS = checkout() / "notebooks"


def test_the_stored_studies_are_those_of_the_lessons():
    assert stale_studies(sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))) == []


def test_every_stored_study_has_a_lesson():
    numbers = {path.name[:2] for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")}
    stored = sorted(path.name for path in (NOTEBOOKS / "studies").glob("*.safetensors"))
    assert [name for name in stored if name[:2] not in numbers] == []
