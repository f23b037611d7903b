"""Has anything changed: digests of content, fingerprints, versions of code."""
