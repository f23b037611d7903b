"""The facts of a plan, gathered from a warehouse."""
