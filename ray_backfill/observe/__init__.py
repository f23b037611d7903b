"""What others see of a run: structured logs, metrics, a notice at its end. Nothing here decides."""
