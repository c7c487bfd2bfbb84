"""The command line: ``python -m transfer_utils COMMAND``.

doctor    what is here, what is missing, and what to do about it
fetch     download what a profile needs and the set-up did not install
student   write editions of notebooks without solutions and outputs
execute   run lessons in the profile laptop and store their outputs
readme    regenerate the picture and the tables of README.md
sources   regenerate the table of data/README.md
stamp     write the hash of the code cells into notebooks, after their outputs were made
address   set the GitHub address that Colab links point to
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .course import doctor, editions
from .course.documents import update_data_readme, update_readme
from .course.execution import execute_lessons
from .runtime.files import checkout
from .runtime.profile import PROFILES, get_profile, set_profile

ROOT = checkout()


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; what a reader can mend is one message, not a traceback."""
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
        command = commands.add_parser(name, description=run.__doc__)
        command.set_defaults(run=run)
        if name in ("doctor", "fetch"):
            command.add_argument("--profile", choices=list(PROFILES), help="instead of TRANSFER_PROFILE")
        if name in ("student", "execute", "stamp"):
            command.add_argument("notebooks", nargs="+", type=Path)
        if name == "student":
            command.add_argument("out", type=Path, help="folder to write to")
        if name == "address":
            command.add_argument("repository", help="owner/name on GitHub")
    return parser


def _doctor(options: argparse.Namespace) -> int:
    """Report what is here and what is missing; exit status 1 when the profile lacks something."""
    if options.profile:
        set_profile(options.profile)
    return doctor.report(doctor.examine())


def _fetch(options: argparse.Namespace) -> None:
    """Download what a profile needs and the set-up did not install; hashes are checked."""
    doctor.fetch(options.profile or get_profile().name)


def _student(options: argparse.Namespace) -> None:
    """Write editions without solutions and outputs; fails where an exercise and its solution differ."""
    written = editions.write_student_editions(options.notebooks, options.out)
    print(f"{len(written)} notebooks in {options.out}, without solutions and outputs.")


def _execute(options: argparse.Namespace) -> None:
    """Run lessons in the profile laptop, store their outputs and their rows of notebooks/ledger.csv."""
    execute_lessons(options.notebooks, ROOT / "notebooks" / "ledger.csv")


def _readme(_: argparse.Namespace) -> None:
    """Regenerate the picture and the tables of README.md."""
    print(f"README.md: {'changed' if update_readme(ROOT) else 'already in step'}.")


def _sources(_: argparse.Namespace) -> None:
    """Regenerate the table of sources in data/README.md."""
    print(f"data/README.md: {'changed' if update_data_readme(ROOT) else 'already in step'}.")


def _stamp(options: argparse.Namespace) -> None:
    """Write the hash of the code cells into notebooks; only right after their outputs were made."""
    for path in options.notebooks:
        editions.stamp(path)


def _address(options: argparse.Namespace) -> None:
    """Replace the GitHub address in the notebooks, the documents and the package."""
    for path in editions.set_address(ROOT, options.repository):
        print(path.relative_to(ROOT))


COMMANDS = {
    "doctor": _doctor,
    "fetch": _fetch,
    "student": _student,
    "execute": _execute,
    "readme": _readme,
    "sources": _sources,
    "stamp": _stamp,
    "address": _address,
}

if __name__ == "__main__":
    sys.exit(main())
