"""Recompute date-partitioned tables over long ranges, exactly and in one command."""

__version__ = "0.1.0"
