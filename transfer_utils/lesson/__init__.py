"""What makes a notebook a lesson: claims that are checked, a ledger, exercises, quizzes."""

from .claims import ClaimFailed, claim, claim_difference
from .exercises import check
from .ledger import ledger_table, record
from .opening import print_environment, start
from .quiz import quiz

__all__ = [
    "ClaimFailed",
    "check",
    "claim",
    "claim_difference",
    "ledger_table",
    "print_environment",
    "quiz",
    "record",
    "start",
]
