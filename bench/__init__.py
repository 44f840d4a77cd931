"""Every figure that the project promises, measured as a ratio within one run."""
