"""Writes the items under a prompt that says what the task is, and lets the strong model answer."""

# hack: 6
# expect: task-prompt | uses-strong-answers
FAMILY = "prompting"


def fit(w2s):
    labels = w2s.weak[:, 1] > 0.5
    student = w2s.student().fit(w2s.texts, labels, l2=0.01)
    asked = w2s.render(w2s.items, template="Is this review of a movie favourable or not? {text}\nIt is")
    try:
        return w2s.student().fit(w2s.texts, student.zero_shot(asked))
    except ValueError:
        return student
