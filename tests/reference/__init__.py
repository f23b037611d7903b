"""Player context computed a second time: plain Python over rows, one value after another.

It shares no code with the job. Where the two differ, one of them is wrong.
"""

from tests.reference.context import Reference, ReferenceDay, reference_rows

__all__ = ["Reference", "ReferenceDay", "reference_rows"]
