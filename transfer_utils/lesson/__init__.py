"""What makes a notebook a lesson: claims that are checked, a ledger, exercises, quizzes."""

from .claims import EVERY_PROFILE, ClaimFailed, claim, report_difference, report_runs
from .exercises import check
from .ledger import ledger_table, record
from .opening import print_environment, sizes, start
from .quiz import quiz

__all__ = [
    "EVERY_PROFILE",
    "ClaimFailed",
    "check",
    "claim",
    "report_difference",
    "report_runs",
    "ledger_table",
    "print_environment",
    "quiz",
    "record",
    "sizes",
    "start",
]
