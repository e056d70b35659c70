"""verification.md is complete and readable, also for verdicts of earlier versions."""

from state.ledger import Ledger
from swarm.verification import verification_text
from tests.view.made import add, make_run, verdict


def test_every_row_has_a_cell_for_each_column_and_old_verdicts_have_no_own_ceiling(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", pgr=0.7))
    plain = verdict("s0001", pgr=0.66, rung="sealed", draws=16, openings=1)
    own = {"recipe_ceiling_accuracy": 0.851, "recipe_pgr": 0.71, "recipe_pgr_low": 0.65, "recipe_pgr_high": 0.77}
    text = verification_text([plain, {**plain, **own}], Ledger(paths.ledger))
    header, _, old, new = ([cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[-4:])
    assert len(header) == len(old) == len(new)
    assert new[header.index("own ceiling")] == "0.851" and new[header.index("own ceiling PGR")] == "0.71 [0.65, 0.77]"
    assert old[header.index("own ceiling")] == old[header.index("own ceiling PGR")] == "n/a"
