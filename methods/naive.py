"""Hard weak labels, taken at their word: the plain baseline that every other method starts from.

The student is trained with hardly any regularisation and nothing is chosen or corrected, so it learns the teacher's mistakes
as well as the task. (The ceiling and tuned naive are the best of a grid on the validation part.)
"""
FAMILY = "naive"


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    return w2s.student().fit(w2s.texts, says_positive, l2=0.01)
