"""The context columns as a date-by-date pandas script computes them: the baseline of the pool.

It shares no code with the jobs. Each module covers some groups of columns; the whole context of
one date is `context.context_of(day, tables)`.
"""
