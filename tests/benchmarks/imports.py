"""What importing the package costs against importing PyTorch: CPU seconds and memory, in fresh processes, in turns.

.venv/bin/python tests/benchmarks/imports.py
"""

import os
import statistics
import subprocess
import sys

ROUNDS = 5
TORCH = "import torch"
STATEMENTS = (
    TORCH,
    "import transfer_utils",
    "from transfer_utils import data, extract_features, fit, load_backbone, predict",
    "from transfer_utils import *",
)


def cost(statement: str) -> tuple[float, float]:
    """Return CPU seconds and the highest memory in MB of a fresh Python that runs ``statement``."""
    process = subprocess.Popen([sys.executable, "-c", statement])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{statement!r} failed, see above.")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes
    return used.ru_utime + used.ru_stime, used.ru_maxrss / unit


def main() -> None:
    """Print the median over the rounds, and the ratio to PyTorch's; the first round warms the disk and is left out."""
    rounds = [{statement: cost(statement) for statement in STATEMENTS} for _ in range(ROUNDS + 1)][1:]
    seconds, memory = (
        {statement: statistics.median(r[statement][kind] for r in rounds) for statement in STATEMENTS}
        for kind in (0, 1)
    )
    for statement in STATEMENTS:
        print(
            f"{seconds[statement]:6.2f} CPU s, {seconds[statement] / seconds[TORCH]:5.2f} times torch; "
            f"{memory[statement]:6.0f} MB, {memory[statement] / memory[TORCH]:5.2f} times: {statement}"
        )


if __name__ == "__main__":
    main()
