"""What a task is said to resolve is what it then resolves."""

import numpy as np

from stats.pgr import Bootstrap, estimate_difference
from stats.power import resolvable
from tests.stats.made_up import DRAWS, GROUP_OF, simulated

WEAK, CEILING, NAIVE = 0.60, 0.85, 0.68
BOOTSTRAP = Bootstrap(DRAWS, GROUP_OF, resamples=400)


def test_a_difference_of_the_promised_size_is_found_about_four_times_out_of_five():
    """Between two students that learn from the same labels and share two thirds of what is their own: they disagree about four
    fifths as often as the ceiling and tuned naive do (methods on `reviews`: half as often)."""
    rng, trials = np.random.default_rng(2), 60
    anchors = simulated(rng, {"weak": WEAK, "ceiling": CEILING, "naive": NAIVE})
    promised = resolvable(anchors["weak"], anchors["ceiling"], anchors["naive"], BOOTSTRAP)
    found = {1.0: 0, 0.3: 0}
    for size in found:
        truths = {"weak": WEAK, "ceiling": CEILING, "naive": NAIVE, "better": NAIVE + size * promised * (CEILING - WEAK)}
        for _ in range(trials):
            made = simulated(rng, truths, alike=0.67)
            lift = estimate_difference(made["better"], made["naive"], made["weak"], made["ceiling"], BOOTSTRAP)
            found[size] += lift.low > 0
    assert 0.6 <= found[1.0] / trials <= 0.97
    assert found[0.3] / trials <= 0.4


def test_more_draws_and_items_resolve_less():
    made = simulated(np.random.default_rng(3), {"weak": WEAK, "ceiling": CEILING, "naive": NAIVE})
    few = GROUP_OF < 80
    fewer = [made[name][:3, few] for name in ("weak", "ceiling", "naive")]
    all_of_it = resolvable(*made.values(), BOOTSTRAP)
    assert all_of_it < 0.75 * resolvable(*fewer, Bootstrap(3, GROUP_OF[few], resamples=400))
    assert all_of_it == resolvable(*made.values(), BOOTSTRAP)  # the same every time it is asked


def test_it_is_not_known_without_a_gap_or_from_imported_anchors():
    made = simulated(np.random.default_rng(4), {"weak": WEAK, "ceiling": 0.61, "naive": 0.605})
    assert resolvable(*made.values(), BOOTSTRAP) is None
    constant = [np.full((DRAWS, len(GROUP_OF)), value, np.float32) for value in (WEAK, CEILING, NAIVE)]
    assert resolvable(*constant, BOOTSTRAP) is None
