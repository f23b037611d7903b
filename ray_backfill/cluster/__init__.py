"""A run as a job on a Ray cluster: what is submitted, what is shipped, how it is followed."""
