"""What a person looks at: a live table, status, scores. Reads a run's files and writes none; imports only state/ and stats/."""
