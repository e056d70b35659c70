"""All that knows models, data and labels: tasks, students, scoring, and the evaluator process."""
