from stats.lineage import ancestry, descent


def submission(commit: str, parents=(), inspired_by=()) -> dict:
    return {"commit": commit, "parents": list(parents), "inspired_by": list(inspired_by)}


def test_parents_are_what_was_named_by_submission_by_commit_and_by_post():
    made = {
        "s1": submission("c1"), "s2": submission("c2"), "s3": submission("c3"), "s4": submission("c4"),
        "s5": submission("c5", parents=["s1"], inspired_by=["c2", "post.md"]),
    }  # fmt: skip
    edges = descent(made, posts={"post.md": "s3"}, trailers={"c5": {"Inspired-by": ["c4"]}})
    assert edges == [("s1", "s5"), ("s2", "s5"), ("s3", "s5"), ("s4", "s5")]


def test_a_parent_that_is_named_twice_counts_once():
    made = {"s1": submission("c1"), "s2": submission("c2", ["s1"], ["c1"])}
    assert descent(made, trailers={"c2": {"Inspired-by": ["c1"]}}) == [("s1", "s2")]


def test_nothing_descends_from_itself_from_later_ones_or_from_what_is_not_known():
    made = {"s1": submission("c1", ["s2", "s9"], ["c1"]), "s2": submission("c2", ["s2"], ["gone.md"])}
    assert descent(made, posts={"gone.md": "s8"}) == []


def test_records_without_the_fields_have_no_parents():
    assert descent({"s1": {"commit": "c1"}, "s2": {"commit": "c2"}}) == []


def test_ancestry_follows_all_lines_and_only_upwards():
    edges = [("a", "c"), ("b", "c"), ("c", "d"), ("c", "e"), ("x", "e")]
    assert ancestry(edges, "d") == {"a", "b", "c", "d"}
    assert ancestry(edges, "a") == {"a"}
