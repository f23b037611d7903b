"""The engine: survey, driver, workers, progress. It knows nothing of what is computed."""
