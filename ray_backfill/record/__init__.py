"""What a run says of itself: progress, journal, report, and how it ended."""
