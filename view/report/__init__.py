"""The report of a run: one HTML file that answers what was found, whether to believe it, what it cost, and what next."""
