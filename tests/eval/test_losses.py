"""Losses: hand-computed values, the published formulas written again in numpy, gradients, weights, warm-up."""
import numpy as np
import pytest

from eval import losses

torch = pytest.importorskip("torch")

HALF = (0.5, 0.5)
NOISE = np.array([[0.9, 0.1], [0.3, 0.7]])
FACTORIES = {
    "ce": losses.ce, "label_smoothing": losses.label_smoothing, "aux_confidence": losses.aux_confidence,
    "product_of_confidences": losses.product_of_confidences, "gce": losses.gce, "symmetric_ce": losses.symmetric_ce,
    "forward_correction": lambda: losses.forward_correction(NOISE),
    "backward_correction": lambda: losses.backward_correction(NOISE),
    "reverse_kl": losses.reverse_kl, "bootstrap": losses.bootstrap, "small_loss": losses.small_loss,
}  # fmt: skip


class Rows:
    def __init__(self, index):
        self.index, self.groups = np.asarray(index), None


def value(loss, chances, targets, weights=None, progress=1.0, index=None):
    """The loss of a batch whose softmax is `chances` (b, 2)."""
    chances, targets = np.atleast_2d(np.array(chances, float)), np.atleast_2d(np.array(targets, float))
    weights = np.ones(len(chances)) if weights is None else np.array(weights, float)
    rows = Rows(range(len(chances)) if index is None else index)
    return float(loss(torch.tensor(np.log(chances) + 0.7), torch.tensor(targets), torch.tensor(weights), progress, rows))


def gradient(loss, chances, targets):
    """Of the loss at the end of the training, by the logits (b, 2)."""
    logits = torch.tensor(np.log(chances), requires_grad=True)
    ones = torch.ones(len(chances), dtype=torch.float64)
    loss(logits, torch.tensor(targets), ones, 1.0, Rows(range(len(chances)))).backward()
    return logits.grad.numpy()


def sample(seed=0, count=40):
    rng = np.random.default_rng(seed)
    positive, target = rng.uniform(0.02, 0.98, count), rng.uniform(0, 1, count)
    return np.stack([1 - positive, positive], 1), np.stack([1 - target, target], 1)


def cross_entropy(p, t):
    return -(t * np.log(p)).sum(1)


@pytest.mark.parametrize(("loss", "chances", "target", "expected"), [
    (losses.ce(), (0.2, 0.8), (0, 1), 0.2231),                                   # -log .8
    (losses.ce(), (0.25, 0.75), (0.5, 0.5), 0.8370),                             # -(log .25 + log .75) / 2
    (losses.label_smoothing(0.2), (0.2, 0.8), (0, 1), 0.3618),                   # .9 x .2231 + .1 x 1.6094
    (losses.gce(1.0), (0.2, 0.8), (0, 1), 0.2),                                  # 1 - .8
    (losses.gce(0.5), (0.75, 0.25), (0, 1), 1.0),                                # (1 - .5) / .5
    (losses.gce(0.7), (0.2, 0.8), (0, 1), 0.2066),                               # (1 - .8^.7) / .7
    (losses.symmetric_ce(0.1, 1.0, -4.0), (0.2, 0.8), (0, 1), 0.8223),           # .1 x .2231 + .2 x 4
    (losses.forward_correction(NOISE), (0.2, 0.8), (0, 1), 0.5447),              # -log(.2 x .1 + .8 x .7)
    (losses.forward_correction(np.eye(2)), (0.2, 0.8), (0, 1), 0.2231),
    (losses.backward_correction(np.eye(2)), (0.2, 0.8), (0, 1), 0.2231),
    (losses.backward_correction(NOISE), (0.2, 0.8), (0, 1), -0.4700),            # (-.3 x 1.6094 + .9 x .2231) / .6
    (losses.reverse_kl(), HALF, HALF, 0.0),
    (losses.reverse_kl(), HALF, (0.2, 0.8), 0.2231),                             # .5 log(.5/.2) + .5 log(.5/.8)
    (losses.reverse_kl(floor=0.1), HALF, (0, 1), 0.4581),                        # .5 log(.5/.1) + .5 log(.5/1)
    (losses.bootstrap(0.8, hard=True), (0.2, 0.8), (1, 0), 1.3322),              # .8 x 1.6094 + .2 x .2231
    (losses.bootstrap(0.5, hard=False), (0.2, 0.8), (0, 1), 0.3618),             # CE with target (.1, .9)
    (losses.product_of_confidences(), HALF, (0.2, 0.8), 0.6931),                 # log 2 whatever the target
    (losses.product_of_confidences(), (0.2, 0.8), (0.5, 0.5), 0.5004),           # target = p: its entropy
    (losses.product_of_confidences(), (0.2, 0.8), (0.8, 0.2), 0.9163),           # they cancel: target one half
])  # fmt: skip
def test_a_loss_has_the_value_computed_by_hand(loss, chances, target, expected):
    assert value(loss, chances, target) == pytest.approx(expected, abs=1e-4)


def published_aux(p, t, alpha, rate):
    own = (p[:, 1] > np.quantile(p[:, 1], 1 - rate)).astype(float)
    return cross_entropy(p, (1 - alpha) * t + alpha * np.stack([1 - own, own], 1))


def published_product(p, t, alpha, beta):
    both = t**alpha * p**beta
    return cross_entropy(p, both / both.sum(1, keepdims=True))


@pytest.mark.parametrize(("loss", "formula"), [
    (losses.ce(), cross_entropy),
    (losses.aux_confidence(0.6, 0.2, rate=0.3), lambda p, t: published_aux(p, t, 0.6, 0.3)),
    (losses.aux_confidence(0.6, 0.2), lambda p, t: published_aux(p, t, 0.6, t[:, 1].mean())),
    (losses.product_of_confidences(2.0, 0.5), lambda p, t: published_product(p, t, 2.0, 0.5)),
    (losses.gce(0.7), lambda p, t: (t * (1 - p**0.7) / 0.7).sum(1)),
    (losses.symmetric_ce(0.1, 2.0), lambda p, t: 0.1 * cross_entropy(p, t) + 2.0 * cross_entropy(t, p)),
    (losses.forward_correction(NOISE), lambda p, t: cross_entropy(p @ NOISE, t)),
    (losses.backward_correction(NOISE), lambda p, t: (t * (-np.log(p) @ np.linalg.inv(NOISE).T)).sum(1)),
    (losses.reverse_kl(1e-4), lambda p, t: (p * np.log(p / t)).sum(1)),
    (losses.bootstrap(0.95, hard=False), lambda p, t: cross_entropy(p, 0.95 * t + 0.05 * p)),
])  # fmt: skip
def test_a_loss_is_its_published_formula(loss, formula):
    p, t = sample()
    t = t.clip(0.02, 0.98)  # no logarithm below a floor
    weights = np.random.default_rng(1).uniform(0, 2, len(p))
    assert value(loss, p, t, weights) == pytest.approx((weights * formula(p, t)).mean(), abs=1e-9)


@pytest.mark.parametrize("name", FACTORIES)
def test_gradients_stay_finite_for_a_student_that_is_very_sure_and_very_wrong(name):
    logits = torch.tensor([[60.0, -60.0], [-60.0, 60.0], [0.0, 0.0], [200.0, -200.0]], requires_grad=True)
    targets = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    made = FACTORIES[name]()(logits, targets, torch.ones(4), 0.7, Rows(range(4)))
    made.backward()
    assert torch.isfinite(made) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", sorted(set(FACTORIES) - {"aux_confidence", "small_loss"}))  # the batch decides in these two
def test_an_item_of_weight_two_counts_as_two_items(name):
    p, t = sample(count=3)
    loss, weights = FACTORIES[name](), [2.0, 1.0, 0.0]
    twice = value(loss, p[[0, 0, 1]], t[[0, 0, 1]])
    assert value(loss, p, t, weights) == pytest.approx(twice, abs=1e-9)


@pytest.mark.parametrize("name", FACTORIES)
def test_weights_of_zero_leave_nothing(name):
    p, t = sample()
    assert value(FACTORIES[name](), p, t, np.zeros(len(p))) == 0


def test_the_auxiliary_weight_grows_linearly_to_alpha_and_never_beyond():
    """The first release jumps: below the end of its warm-up it multiplies by progress itself (its issue 33)."""
    p, t = sample()
    loss = losses.aux_confidence(alpha=0.6, warmup=0.2)
    by_progress = {share: value(loss, p, t, progress=share) for share in (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)}
    for share, weight in ((0.0, 0.0), (0.05, 0.15), (0.1, 0.3), (0.2, 0.6), (0.5, 0.6), (1.0, 0.6)):
        assert by_progress[share] == pytest.approx(published_aux(p, t, weight, t[:, 1].mean()).mean(), abs=1e-9)
    assert by_progress[0.0] == pytest.approx(cross_entropy(p, t).mean())
    assert value(losses.aux_confidence(0.6, warmup=0.0), p, t, progress=0.0) == pytest.approx(by_progress[1.0])


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.75])
def test_the_students_own_answers_keep_the_class_balance(rate):
    """With alpha 1 the gradient points to the own answer: as many items as `rate` says are pushed up."""
    p, t = sample(count=32)
    pushed_up = gradient(losses.aux_confidence(1.0, 0.0, rate=rate), p, t)[:, 1] < 0
    assert pushed_up.sum() == round(32 * rate)


def test_the_targets_of_a_product_carry_no_gradient():
    p, t = sample(count=8)
    target = t * p / (t * p).sum(1, keepdims=True)
    assert np.allclose(gradient(losses.product_of_confidences(1.0, 1.0, 0.0), p, t), (p - target) / 8)


def test_small_loss_counts_everything_at_first_and_the_best_fitting_items_later():
    p, t = sample(count=10)
    loss, each = losses.small_loss(keep=0.6, ramp=0.5), np.sort(cross_entropy(p, t))
    assert value(loss, p, t, progress=0.0) == pytest.approx(each.mean())
    assert value(loss, p, t, progress=0.25) == pytest.approx(each[:8].mean())
    assert value(loss, p, t, progress=0.5) == value(loss, p, t, progress=1.0) == pytest.approx(each[:6].mean())


def test_a_peer_chooses_by_its_own_losses():
    p, t = sample(count=4)
    peer = np.zeros(100)
    peer[[11, 13]] = 5.0
    chosen = value(losses.small_loss(0.5, 0.0, peer=peer), p, t, index=[10, 11, 12, 13])
    assert chosen == pytest.approx(cross_entropy(p, t)[[0, 2]].mean())


@pytest.mark.parametrize("noise", [NOISE, np.array([[0.6, 0.4], [0.1, 0.9]])])
def test_backward_correction_is_the_clean_loss_on_average_over_the_noise(noise):
    p = (0.3, 0.7)
    for truth in (0, 1):
        noisy = sum(noise[truth, k] * value(losses.backward_correction(noise), p, np.eye(2)[k]) for k in (0, 1))
        assert noisy == pytest.approx(-np.log(p[truth]))


@pytest.mark.parametrize("noise", [NOISE, np.array([[0.6, 0.4], [0.1, 0.9]])])
def test_forward_correction_is_least_where_the_student_is_right(noise):
    """Over the weak labels of an item whose true chances are (.2, .8), no other answer has a lower loss."""
    truth, grid = np.array([0.2, 0.8]), np.linspace(0.01, 0.99, 99)
    weak = truth @ noise
    found = [value(losses.forward_correction(noise), (1 - positive, positive), weak) for positive in grid]
    assert grid[np.argmin(found)] == pytest.approx(0.8)


def test_gce_lies_between_cross_entropy_and_the_absolute_error():
    p, t = sample()
    assert value(losses.gce(1e-4), p, t) == pytest.approx(cross_entropy(p, t).mean(), abs=1e-3)
    assert value(losses.gce(1.0), p, t) == pytest.approx((t * (1 - p)).sum(1).mean())


@pytest.mark.parametrize("make", [
    lambda: losses.gce(0.0), lambda: losses.gce(1.5), lambda: losses.aux_confidence(alpha=1.5),
    lambda: losses.small_loss(keep=-0.1), lambda: losses.reverse_kl(0.7), lambda: losses.label_smoothing(2.0),
    lambda: losses.forward_correction([[0.5, 0.6], [0, 1]]), lambda: losses.forward_correction(np.eye(3)),
    lambda: losses.backward_correction([[0.5, 0.5], [0.5, 0.5]]),
])  # fmt: skip
def test_a_setting_that_cannot_be_is_refused_in_words(make):
    with pytest.raises(ValueError, match=r"must|cannot be inverted"):
        make()


def test_every_loss_trains_a_student():
    from eval.w2s import W2S
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 120)
    x = (rng.normal(size=(120, 8)) + 1.5 * (2 * truth[:, None] - 1)).astype(np.float16)
    weak = np.where(truth == 1, 0.8, 0.2)
    texts, teachers = [f"text {i}" for i in range(120)], np.stack([1 - weak, weak], 1)[None]
    w2s = W2S(texts, [{} for _ in texts], np.arange(120), teachers, {"last:1": x}, "last:1", 0, 60.0)
    for name, make in FACTORIES.items():
        student = w2s.student().fit(w2s.texts, w2s.weak, loss=make(), epochs=3, lr=0.02, l2=0.0)
        assert ((student.logits(w2s.texts) > 0) == truth).mean() > 0.9, name
