"""Ask the strong model itself, untrained, and let a student learn its answers. The teacher gives only the share of positives.

On the elicitation track: what comes out is what the strong model can say when asked, not what the weak labels taught it.
The student then says it from its hidden states, which is more reliable than its words (distillation, Hinton et al. 2015,
arXiv 1503.02531). Needs a task with prompts.
"""
import numpy as np

FAMILY = "zero-shot"

L2 = 0.1


def fit(w2s):
    if w2s.answers is None:
        raise ValueError("zero_shot needs a task with [prompts]")
    rate = (w2s.weak[:, 1] > 0.5).mean()
    says = w2s.student().zero_shot(w2s.texts)[:, 1]
    return w2s.student().fit(w2s.texts, says > np.quantile(says, 1 - rate), l2=L2).match_prior(w2s.texts, rate)
