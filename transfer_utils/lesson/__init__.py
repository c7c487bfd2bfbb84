"""What makes a notebook a lesson: claims that are checked, a ledger, exercises, quizzes."""

from .claims import EVERY_PROFILE, ClaimFailed, claim, report_difference, report_runs
from .exercises import check, solution
from .ledger import ledger_table, record, record_runs
from .opening import print_environment, sizes, start
from .quiz import quiz
from .schematics.blocks import Block
from .schematics.drawing import parameters, schematic
from .solved import show_progress
from .studies.study import study
from .tables import differences, metric_table
from .widgets import explore, try_text

__all__ = [
    "EVERY_PROFILE",
    "Block",
    "ClaimFailed",
    "check",
    "claim",
    "differences",
    "explore",
    "report_difference",
    "report_runs",
    "ledger_table",
    "metric_table",
    "parameters",
    "print_environment",
    "quiz",
    "record",
    "record_runs",
    "schematic",
    "show_progress",
    "sizes",
    "solution",
    "start",
    "study",
    "try_text",
]
