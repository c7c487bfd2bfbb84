"""What makes a notebook a lesson: claims that are checked, a ledger, exercises, quizzes."""

from .claims import EVERY_PROFILE, ClaimFailed, claim, report_difference, report_runs
from .exercises import check, solution
from .ledger import ledger_table, record
from .opening import print_environment, sizes, start
from .quiz import quiz
from .solved import show_progress
from .tables import differences, metric_table

__all__ = [
    "EVERY_PROFILE",
    "ClaimFailed",
    "check",
    "claim",
    "differences",
    "report_difference",
    "report_runs",
    "ledger_table",
    "metric_table",
    "print_environment",
    "quiz",
    "record",
    "show_progress",
    "sizes",
    "solution",
    "start",
]
