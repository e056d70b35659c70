"""Pure functions on arrays of correct answers: PGR, its interval, paired differences, the order of a leaderboard."""
