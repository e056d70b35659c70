from swarm import race_probe


def test_a_swapped_link_never_gets_into_a_commit_and_a_naive_reader_is_fooled():
    rows = race_probe.race_rows()
    wanted = {(name, kind) for name in race_probe.RACES for kind in ("shell", "job")}
    assert {(row["name"], row["sandbox"]) for row in rows} == wanted
    for row in rows:
        assert row["blocked"] and row["control"], row


def test_a_reader_that_follows_links_is_found_out_at_once(monkeypatch):
    read = []

    def naive(worktree):
        path = worktree / race_probe.RACED
        try:
            read.append(path.read_bytes())
        except FileNotFoundError:
            return {}
        return {race_probe.RACED: read[-1]}
    monkeypatch.setattr(race_probe, "snapshot", naive)
    rows = race_probe.race_rows()
    assert not any(row["blocked"] for row in rows) and {row["detail"] for row in rows} == {"the secret was committed"}
    assert len([data for data in read if data not in (b"", b"# my own\n")]) == len(rows), "nothing is read after the first leak"


def test_a_race_that_comes_to_nothing_ends_after_so_many_snapshots(monkeypatch):
    read = []

    def blind(worktree):
        read.append(worktree)
        return {race_probe.RACED: b"# my own\n"}
    monkeypatch.setattr(race_probe, "snapshot", blind)
    monkeypatch.setattr(race_probe, "MOST_SNAPSHOTS", 30)
    assert not any(row["blocked"] for row in race_probe.race_rows())
    assert len(read) == 4 * 30


def test_where_there_are_no_walls_there_is_no_race():
    assert race_probe.race_rows("none") == []
