"""Looks at what is published."""
