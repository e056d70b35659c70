from swarm import race_probe


def test_a_swapped_link_never_gets_into_a_commit_and_a_naive_reader_is_fooled():
    rows = race_probe.race_rows()
    wanted = {(name, kind) for name in race_probe.RACES for kind in ("shell", "job")}
    assert {(row["name"], row["sandbox"]) for row in rows} == wanted
    for row in rows:
        assert row["blocked"] and row["control"], row


def test_a_reader_that_follows_links_is_found_out(monkeypatch):
    def naive(worktree):
        path = worktree / race_probe.RACED
        try:
            return {race_probe.RACED: path.read_bytes()}
        except FileNotFoundError:
            return {}
    monkeypatch.setattr(race_probe, "snapshot", naive)
    monkeypatch.setattr(race_probe, "SECONDS", 0.3)
    rows = race_probe.race_rows()
    assert not any(row["blocked"] for row in rows) and {row["detail"] for row in rows} == {"the secret was committed"}


def test_where_there_are_no_walls_there_is_no_race():
    assert race_probe.race_rows("none") == []
