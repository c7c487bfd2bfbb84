"""The commands of the course. They need Python 3.11 or newer, and a network for the first set-up.

  lab          set up, then open JupyterLab on the first lesson
  test         set up, then every check and test, the lessons included
  setup        set up only: .venv with everything pinned in requirements.txt
  notebooks    run the lessons in the profile laptop and store their outputs
  student      write the edition without solutions into student/
  studies      compute the runs of lessons that are stored because they take too long, and list them
  slides       write the lessons as slides, for a browser without a network, into slides/
  readme       regenerate the tables and the picture of README.md and data/README.md
  address      set the GitHub address that the Colab links point to: address owner/name
  lint         check the style of the code and the spelling
  benchmark    run the benchmarks of tests/benchmarks
  help         show this text

"python start.py lab" and "make lab" are the same. On a machine without a GPU, "python start.py setup --torch cpu"
(TORCH=cpu make setup) takes the build of PyTorch that leaves some 4 GB of GPU libraries out.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "set-up-complete"
UV_VERSION = "0.13.8"
OLDEST_PYTHON = (3, 11)
DISK_GB = {"": 8, "cpu": 4}  # what .venv may need while it is made, by the build of PyTorch
HYGIENE = ["tests/notebooks/test_files_of_lessons.py", "tests/course/test_pins.py"]


class Stop(Exception):
    """What went wrong and what to do, in a sentence or two; the exit status is 1."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except Stop as problem:
        print(f"start.py {options.command}: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python start.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    parser.set_defaults(run=show_help, command="help")
    for run in (lab, test, setup, notebooks, student, studies, slides, readme, address, lint, benchmark, show_help):
        name = "help" if run is show_help else run.__name__
        command = commands.add_parser(name, description=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("--torch", choices=["cpu"], help="the build of PyTorch, instead of TORCH")
        if run is lab:
            command.add_argument("--port", default="8888", help="of JupyterLab (default: 8888)")
        if run in (notebooks, student, studies, slides):
            command.add_argument("lessons", nargs="*", type=Path, help="notebooks (default: all lessons)")
        if run is address:
            command.add_argument("repository", nargs="?", help="owner/name on GitHub")
    return parser


# ------------------------------------------------------------ the commands


def show_help(_: argparse.Namespace) -> int:
    """Show the commands."""
    print(__doc__.strip())
    return 0


def setup(options: argparse.Namespace) -> int:
    """Make .venv with everything pinned in requirements.txt, unless it is there."""
    if not set_up(options):
        print(f"{VENV} is up to date.")
    return 0


def lab(options: argparse.Namespace) -> int:
    """Set up, then open JupyterLab on the first lesson."""
    set_up(options)
    allow_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return run_python("-m", "jupyterlab", "--ip=127.0.0.1", f"--port={options.port}", *allow_root,
                      f"--ServerApp.root_dir={ROOT}",
                      "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb")  # fmt: skip


def lint(options: argparse.Namespace) -> int:
    """Check the style of the code and the spelling."""
    set_up(options)
    spelled = ["README.md", "CONTRIBUTING.md", "Makefile", "start.py", "data", "tests", "transfer_utils", "notebooks"]
    return first_failure([["-m", "ruff", "check", "."], ["-m", "ruff", "format", "--check", "."],
                          ["-m", "codespell_lib", *spelled]])  # fmt: skip


def test(options: argparse.Namespace) -> int:
    """Set up, then run every check and test, the lessons included, the cheapest first."""
    status = lint(options)
    if status:
        return status
    with tempfile.TemporaryDirectory(prefix="course-") as scratch:
        environment = test_environment(Path(scratch))
        reports = []
        for number, (title, arguments, profile) in enumerate(TEST_STEPS, 1):
            print(f"{number} of {len(TEST_STEPS)}: {title}")
            reports.append(str(Path(scratch) / f"{number}.xml"))
            status = run_python("-m", "pytest", *arguments, f"--junitxml={reports[-1]}", env={**environment, **profile})
            if status:
                return status
        return run_python("tests/totals.py", *reports)


TEST_STEPS = [
    ("the notebooks as files, the lists of packages", HYGIENE, {}),
    ("unit tests", ["tests", "-n", "2", *(f"--ignore={path}" for path in [*HYGIENE, "tests/benchmarks"]),
                    "--durations=5"], {}),
    ("the lessons and their solutions in the profile tiny",
     ["--nbval-lax", "-n", "2", "--dist", "loadfile", "--nbval-cell-timeout", "300", "--nbval-current-env",
      "--durations=5", "notebooks"], {"TRANSFER_PROFILE": "tiny"}),
]  # fmt: skip


def test_environment(scratch: Path) -> dict[str, str]:
    """Return the environment of the tests, whose cache and ledger lie in a temporary folder.

    Two workers on two cores: one thread each is faster than two.
    """
    chosen = ("TRANSFER_PROFILE", "TRANSFER_BACKBONE", "TRANSFER_ENCODER", "TRANSFER_DEVICE", "COURSE_STATIC")
    environment = {name: text for name, text in child_environment().items() if name not in chosen}
    return {**environment, "OMP_NUM_THREADS": "1", "COURSE_BUILD": "1", "TRANSFER_CACHE": str(scratch / "cache"),
            "TRANSFER_LEDGER": str(scratch / "ledger.csv"),
            "TRANSFER_PROGRESS": str(scratch / "progress.json")}  # fmt: skip


def benchmark(options: argparse.Namespace) -> int:
    """Run every script of tests/benchmarks, one after the other."""
    set_up(options)
    scripts = sorted((ROOT / "tests" / "benchmarks").glob("[a-z]*.py"))
    return first_failure([[script.relative_to(ROOT)] for script in scripts])


def notebooks(options: argparse.Namespace) -> int:
    """Run lessons in the profile laptop, store their outputs, and make the README's tables from them."""
    set_up(options)
    return first_failure([["-m", "transfer_utils", "execute", *lessons(options)], ["-m", "transfer_utils", "readme"]])


def student(options: argparse.Namespace) -> int:
    """Write the lessons without solutions and outputs into student/."""
    set_up(options)
    return run_python("-m", "transfer_utils", "student", *lessons(options), "student")


def studies(options: argparse.Namespace) -> int:
    """Compute the stored runs of lessons that are missing or stale, and list all; Ctrl-C loses one run at most."""
    set_up(options)
    return run_python("-m", "transfer_utils", "studies", "--make", *lessons(options))


def slides(options: argparse.Namespace) -> int:
    """Write the lessons as slides into slides/."""
    set_up(options)
    return run_python("-m", "transfer_utils", "slides", *lessons(options), "slides")


def readme(options: argparse.Namespace) -> int:
    """Regenerate the tables and the picture of README.md and data/README.md."""
    set_up(options)
    return first_failure([["-m", "transfer_utils", "readme"], ["-m", "transfer_utils", "sources"]])


def address(options: argparse.Namespace) -> int:
    """Set the GitHub address that the Colab links point to."""
    if not options.repository:
        raise Stop("say which: python start.py address owner/name, or make address REPO=owner/name")
    set_up(options)
    return run_python("-m", "transfer_utils", "address", options.repository)


def lessons(options: argparse.Namespace) -> list[Path]:
    """Return the notebooks that were asked for, else all lessons in their order."""
    if options.lessons:
        return [path.absolute() for path in options.lessons]
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


# ------------------------------------------------------------ setting up


def set_up(options: argparse.Namespace) -> bool:
    """Make .venv where it is missing or out of date, and return whether there was something to do.

    Raises:
        Stop: there is no suitable Python, too little room on the disk, or no network.
    """
    asked = options.torch or os.environ.get("TORCH", "")
    if asked not in DISK_GB:
        raise Stop(f"TORCH={asked} is not known. Take TORCH=cpu, or leave it out.")
    if is_fresh(asked):
        return False
    torch = asked or recorded_torch()
    python = find_python(dict(os.environ), os.name)
    check_disk(DISK_GB[torch])
    print(f"Setting up .venv with {version_of(python)}: a few minutes the first time.")
    if run(*python, "-m", "venv", "--clear", VENV):
        raise Stop(f"{VENV} could not be made (see above). Close what uses it: JupyterLab, or a terminal where it is "
                   "activated.")  # fmt: skip
    install(torch)
    for command in ("fetch", "doctor"):
        if run_python("-m", "transfer_utils", command):
            raise Stop("the set-up is not complete (see above).")
    STAMP.write_text(stamp(torch), encoding="utf-8")
    return True


def stamp(torch: str) -> str:
    """Return what a complete set-up leaves in .venv: a hash of all that it depends on, and the build of PyTorch.

    The folder counts, because the course is installed from it: a checkout that was moved or copied is set up anew.
    """
    digest = hashlib.sha256(f"{ROOT} {UV_VERSION}".encode())
    for name in ("requirements.txt", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return f"{digest.hexdigest()} {torch}"


def recorded_torch() -> str:
    """Return the build of PyTorch of the last complete set-up, so that a later one need not name it again."""
    torch = STAMP.read_text(encoding="utf-8").partition(" ")[2] if STAMP.is_file() else ""
    return torch if torch in DISK_GB else ""


def is_fresh(asked: str) -> bool:
    """Return whether .venv is complete, and made from the lists of packages as they are now."""
    if not (STAMP.is_file() and venv_python(VENV, os.name).exists()):
        return False
    return STAMP.read_text(encoding="utf-8") == stamp(asked or recorded_torch())


def venv_python(venv: Path, system: str) -> Path:
    """Return where the virtual environment ``venv`` has its Python; ``system`` is ``os.name``."""
    return venv / "Scripts" / "python.exe" if system == "nt" else venv / "bin" / "python"


def find_python(environment: dict[str, str], system: str) -> list[str]:
    """Return the command of a Python that can make .venv: ``PYTHON``, the running one, or one on the path.

    Raises:
        Stop: none is new enough, or it cannot make virtual environments.
    """
    outside = os.pathsep.join(p for p in environment.get("PATH", "").split(os.pathsep) if VENV not in Path(p).parents)
    for command in python_commands(environment, system):
        program = shutil.which(command[0], path=outside)
        if program and answers([program, *command[1:]], f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"):
            if not answers([program, *command[1:]], "import ensurepip, venv"):
                raise Stop(f"{program} has no venv module. {ADVICE[system == 'nt']['venv']}")
            return [program, *command[1:]]
    raise Stop(f"no Python {'.'.join(map(str, OLDEST_PYTHON))} or newer was found. {ADVICE[system == 'nt']['python']}")


def python_commands(environment: dict[str, str], system: str) -> list[list[str]]:
    """Return the commands that may start a Python, the first choice first."""
    if environment.get("PYTHON"):
        return [[environment["PYTHON"]]]
    running = [] if VENV in Path(sys.executable).parents else [[sys.executable]]
    if system == "nt":
        return [*running, ["py", "-3"], ["python"], ["python3"]]
    return [*running, ["python3"], *([f"python3.{minor}"] for minor in (14, 13, 12, 11)), ["python"]]


ADVICE = {
    False: {
        "python": "Install one, or name it: PYTHON=/path/to/python make setup",
        "venv": "On Debian and Ubuntu: sudo apt install python3-venv",
    },
    True: {
        "python": "Install one from python.org and open a new terminal.",
        "venv": "Run the installer of Python again, choose Modify, and tick pip.",
    },
}


def answers(python: list[str], code: str) -> bool:
    """Return whether ``python`` runs ``code`` without an error."""
    try:
        return subprocess.run([*python, "-c", code], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def version_of(python: list[str]) -> str:
    """Return, for example, ``Python 3.11.7``."""
    return subprocess.run([*python, "--version"], capture_output=True, text=True).stdout.strip()


def check_disk(needed_gb: int) -> None:
    """Raise ``Stop`` unless so many GB are free in this folder, counting what the old .venv gives back."""
    free = shutil.disk_usage(ROOT).free
    if free < needed_gb * 1e9:
        free += sum(path.lstat().st_size for path in VENV.rglob("*"))
    if free < needed_gb * 1e9:
        raise Stop(f"about {needed_gb} GB must be free in {ROOT} for the environment; there are {free / 1e9:.1f} GB.")


def install(torch: str) -> None:
    """Install what pyproject.toml asks for, in the versions of requirements.txt, and the course itself.

    requirements.txt lists the GPU libraries as well. As a list of constraints it pins what is needed and installs no
    more, and the CPU build of PyTorch (2.15.0+cpu satisfies ==2.15.0) needs none of them.

    Raises:
        Stop: a package could not be installed.
    """
    python = str(venv_python(VENV, os.name))
    # with the certificates of the system, as pip: networks of schools and companies often have one of their own
    uv = [python, "-m", "uv", "pip", "install", "--quiet", "--system-certs", "--python", python]
    pinned = [*uv, "--constraints", "requirements.txt"]
    failed = (
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"uv=={UV_VERSION}")
        or run(*pinned, "--requirements", "pyproject.toml", "--all-extras", *torch_backend(pinned, torch))
        or run(*uv, "--no-deps", "--editable", ".")
    )
    if failed:
        raise Stop("the packages could not be installed (see above). Check the network, then: python start.py setup")


def torch_backend(install_pinned: list[str], torch: str) -> list[str]:
    """Return uv's options for a build of PyTorch, none where its index does not have it or cannot be reached."""
    if not torch:
        return []
    option = ["--torch-backend", torch]
    tried = subprocess.run([*install_pinned, "--dry-run", "--no-deps", *option, "torch", "torchvision"],
                           cwd=ROOT, env={"UV_HTTP_RETRIES": "1", **child_environment()},
                           capture_output=True, text=True)  # fmt: skip
    if tried.returncode == 0:
        return option
    lines = [line.strip() for line in tried.stderr.splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("cause:")), "".join(lines[-1:]))
    print(f"PyTorch's {torch} build cannot be had ({reason.replace('cause: ', '')}): taking the default build.")
    check_disk(DISK_GB[""])
    return []


# ------------------------------------------------------------ running programs


def run_python(*arguments: object, env: dict[str, str] | None = None) -> int:
    """Run the Python of .venv and return the exit status."""
    return run(venv_python(VENV, os.name), *arguments, env=env)


def first_failure(commands: list[list[object]]) -> int:
    """Run the Python of .venv once for each list of arguments, up to the first that fails; return its exit status."""
    return next((status for status in (run_python(*arguments) for arguments in commands) if status), 0)


def run(*command: object, env: dict[str, str] | None = None) -> int:
    """Run a program in the folder of the course and return its exit status, 128 + N when signal N ended it.

    A Ctrl-C reaches the program too. pytest and JupyterLab have their own way to end, so it is waited for.

    Raises:
        KeyboardInterrupt: Ctrl-C ended the program.
    """
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=env or child_environment())
    interrupted = False
    try:
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                interrupted = True
    finally:  # start.py itself is told to end
        if process.poll() is None:
            process.terminate()
            process.wait()
    if interrupted and process.returncode:
        raise KeyboardInterrupt
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def child_environment(system: str = os.name) -> dict[str, str]:
    """Return the environment of the programs; on Windows they read and write UTF-8, as on other systems."""
    return {**os.environ, "PYTHONUTF8": "1"} if system == "nt" else dict(os.environ)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # what is printed here comes before what the programs print
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
