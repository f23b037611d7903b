"""Is a place fit for a run? Everything that a run needs, tried one step after another."""
