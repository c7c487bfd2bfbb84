"""What makes an answer right, a file a lesson: conditions, feedback, right answers and typical wrong ones.

A lesson's check cell holds one call, ``check("01.2", freeze_body)``; what it asks for stands in ``lesson_01.py``.
"""
