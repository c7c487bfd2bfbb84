"""The command line: ``python -m transfer_utils COMMAND``.

doctor    what is here, what is missing, and what to do about it
fetch     download what a profile needs and the set-up did not install
student   write editions of notebooks without solutions and outputs
progress  which exercises you have solved
studies   list the stored runs of lessons, or compute those that are missing (--make)
execute   run lessons in the profile laptop and store their outputs
times     write the minutes that each lesson takes into its title cell
slides    write lessons as slides that need no network
readme    regenerate the picture and the tables of README.md, and notebooks/LEDGER.md
sources   regenerate the table of data/README.md
stamp     write the hash of the code cells into notebooks, after their outputs were made
address   set the GitHub address that Colab links point to
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

from .runtime.files import checkout
from .runtime.profile import PROFILES, set_profile

# Each command imports what it needs when it runs, so that `doctor` does not wait for the tools of an author.


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; an error that the user can fix is one line, not a traceback."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except (OSError, ValueError, RuntimeError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m transfer_utils", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, run in COMMANDS.items():
        command = commands.add_parser(
            name, description=inspect.cleandoc(run.__doc__), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.set_defaults(run=run)
        if name in ("doctor", "fetch"):
            command.add_argument("--profile", choices=list(PROFILES), help="instead of TRANSFER_PROFILE")
        if name in ("student", "execute", "stamp", "times", "slides"):
            command.add_argument("notebooks", nargs="+", type=Path)
        if name == "studies":
            command.add_argument("notebooks", nargs="*", type=Path, help="lessons (default: all)")
            command.add_argument("--make", action="store_true", help="compute the runs that are missing or stale")
        if name in ("student", "slides"):
            command.add_argument("out", type=Path, help="folder to write to")
        if name == "address":
            command.add_argument("repository", help="owner/name on GitHub")
    return parser


def _doctor(options: argparse.Namespace) -> int:
    """Report what is here and what is missing; exit status 1 when the profile lacks something.

    Environment variables that the course reads:
      TRANSFER_PROFILE    the sizes of the lessons: tiny, laptop (default) or full
      TRANSFER_BACKBONE   replaces its pretrained network: efficientnet_lite0, a name of torchvision, or timm/NAME
      TRANSFER_ENCODER    replaces its encoder of texts: minilm, or a name of the Hugging Face hub
      TRANSFER_DEVICE     cpu, cuda or mps (default: the best that is here)
      TRANSFER_CACHE      the folder for features and checkpoints
      TRANSFER_DOWNLOADS  the folder for data that were fetched
      TRANSFER_LEDGER     the file for the results of your own runs
      TRANSFER_PROGRESS   the file that remembers which exercises you solved
      TRANSFER_STUDIES    the folder of the stored runs of studies
      COURSE_STATIC       1: still pictures instead of sliders, and no progress bars
      COURSE_BUILD        1: a claim that does not hold stops the run, a stale study too
      COURSE_STUDIES      make: the runs of a study are computed and stored, as make studies does

    The folder of the cache, which the report names, can be deleted whenever no lesson runs: all in it is computed
    again. Downloads are fetched again.
    """
    from .course.doctor import examine, report

    if options.profile:
        set_profile(options.profile)
    return report(examine())


def _fetch(options: argparse.Namespace) -> None:
    """Download what a profile needs and the set-up did not install; hashes are checked."""
    from .course.doctor import fetch

    if options.profile:
        set_profile(options.profile)
    fetch()


def _student(options: argparse.Namespace) -> None:
    """Write editions without solutions and outputs; fails where an exercise and its solution differ."""
    from .course.editions import write_student_editions

    _refuse_a_file(options.out)
    written = write_student_editions(options.notebooks, options.out)
    print(f"{len(written)} notebooks in {options.out}, without solutions and outputs.")


def _execute(options: argparse.Namespace) -> None:
    """Run lessons in the profile laptop, store their outputs and their rows of notebooks/ledger.csv."""
    from .course.execution import execute_lessons

    execute_lessons(options.notebooks, _root() / "notebooks" / "ledger.csv")


def _progress(_: argparse.Namespace) -> None:
    """Show which exercises of which lesson you have solved, and when."""
    from .lesson.solved import progress_table

    print(progress_table())


def _studies(options: argparse.Namespace) -> None:
    """List the stored runs of lessons: from which code and machine they are, and whether they are stale.

    With --make, compute the runs that are missing or stale. Ctrl-C loses at most the run that is going on.
    """
    from .course.studies import list_studies, make_studies

    lessons = options.notebooks or sorted((_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if options.make:
        make_studies(lessons)
    print(list_studies(lessons))


def _times(options: argparse.Namespace) -> None:
    """Write the minutes that each lesson takes, computed from its cells, into its title cell."""
    from .course.times import write_time

    for path in options.notebooks:
        print(f"{path.stem}: {write_time(path)}")


def _slides(options: argparse.Namespace) -> None:
    """Write lessons as slides (HTML) into a folder; they need no network."""
    from .course.slides import write_slides

    _refuse_a_file(options.out)
    for path in write_slides(options.notebooks, options.out):
        print(path)


def _readme(_: argparse.Namespace) -> None:
    """Regenerate the picture and the tables of README.md, and notebooks/LEDGER.md."""
    from .course.documents import update_readme

    print(f"README.md and notebooks/LEDGER.md: {'changed' if update_readme(_root()) else 'already in step'}.")


def _sources(_: argparse.Namespace) -> None:
    """Regenerate the table of sources in data/README.md."""
    from .course.documents import update_data_readme

    print(f"data/README.md: {'changed' if update_data_readme(_root()) else 'already in step'}.")


def _stamp(options: argparse.Namespace) -> None:
    """Write the hash of the code cells into notebooks; only right after their outputs were made."""
    from .course.editions import stamp

    for path in options.notebooks:
        stamp(path)


def _address(options: argparse.Namespace) -> None:
    """Replace the GitHub address in the notebooks, the documents and the package."""
    from .course.editions import set_address

    for path in set_address(_root(), options.repository):
        print(path.relative_to(_root()))


def _refuse_a_file(out: Path) -> None:
    """Raise ValueError where the folder to write to is a file, or is named like a notebook."""
    if out.suffix == ".ipynb" or out.is_file():
        raise ValueError(f"the last argument is the folder to write to, and {out} is none.")


def _root() -> Path:
    """Return the folder of the course.

    Raises:
        ValueError: only the package is installed.
    """
    root = checkout()
    if root is None:
        raise ValueError("this command works on the course's folder, and only the package transfer_utils is installed "
                         "here. Clone the course and run it there.")  # fmt: skip
    return root


COMMANDS = {
    "doctor": _doctor,
    "fetch": _fetch,
    "student": _student,
    "progress": _progress,
    "studies": _studies,
    "execute": _execute,
    "times": _times,
    "slides": _slides,
    "readme": _readme,
    "sources": _sources,
    "stamp": _stamp,
    "address": _address,
}

if __name__ == "__main__":
    sys.exit(main())
