"""Files into raw tables."""
