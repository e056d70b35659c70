"""Commands that look at runs: status, log, scores, show, report, compare, replay. They change nothing of what a run found."""

from __future__ import annotations

from pathlib import Path

import click

from commands.common import PROJECT, as_json, only_on_a_terminal, say, shown_on_stderr
from state.ledger import Ledger
from state.names import is_submission
from state.paths import find_run
from state.record import read_record


@click.command()
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until the run is over.")
@as_json
def status(run: str | None, watch: bool, as_json: bool) -> None:
    """What a run is doing: problems, time and money, the best so far, and each agent."""
    paths = find_run(PROJECT, run)
    if watch and not as_json:
        from view.watch import watch as look

        look(paths)
        return
    from view.status import status_facts, status_text

    facts = status_facts(paths)
    say(facts, status_text(facts), as_json)


@click.command()
@click.argument("run", required=False)
@click.option("--agent", help="Only of this agent.")
@click.option("--type", "types", help="Only these kinds, such as idea,verdict,post,nudge,error.")
@click.option("--grep", metavar="TEXT", help="Only lines that hold this.")
@click.option("--since", metavar="10m", help="Only the last so many s, m, h or d of the run.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on as the run does.")
@as_json
def log(run: str | None, follow: bool, as_json: bool, **asked) -> None:
    """The story of a run as it happened: ideas, verdicts, posts, nudges, errors."""
    from view.log import follow as go_along
    from view.log import log_facts, log_text, none_words

    paths = find_run(PROJECT, run)
    if follow:
        go_along(paths, as_json=as_json, **asked)
    else:
        facts = log_facts(read_record(paths), **asked)
        if facts or as_json:
            say(facts, log_text(facts), as_json)
        else:
            shown_on_stderr(none_words(paths.name, **asked))


@click.command()
@click.argument("run", required=False)
@as_json
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
def scores(run: str | None, as_json: bool, limit: int) -> None:
    """The verdicts of a run, best lower bound first."""
    from view.opened import GIVEN
    from view.scores import leaderboard, scores_text

    paths = find_run(PROJECT, run)
    verdicts = leaderboard(Ledger(paths.ledger))
    given = f"{GIVEN}\n" * paths.opened.exists()
    say(verdicts, given + scores_text(verdicts, limit).replace("scores RUN", f"scores {paths.name}"), as_json)


@click.command()
@click.argument("submission")
@click.argument("run", required=False)
@as_json
def show(submission: str, run: str | None, as_json: bool) -> None:
    """One submission (s0007, or best): its code, what it changed, its verdict, posts about it, what it cost."""
    from view.show import show_facts, show_text

    if run is not None and is_submission(run) and not is_submission(submission):
        submission, run = run, submission  # either order is meant alike
    facts = show_facts(read_record(find_run(PROJECT, run)), submission)
    say(facts, show_text(facts), as_json)


@click.command()
@click.argument("run", required=False)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Another file. Default: report.html in the run's folder.")
def report(run: str | None, out: Path | None) -> None:
    """Write report.html: one file with all there is to see of a run, which opens in any browser, offline."""
    from commands.reporting import keep_report
    from view.page_file import check_page
    from view.summary import shown

    into_stream = out is not None and check_page(out) is None  # also: what cannot be written is refused before it is made
    facts = keep_report(find_run(PROJECT, run), out=out)
    click.echo(f"{shown(Path(facts['file']))}    one file, {facts['bytes'] / 1e6:.1f} MB; open it in any browser", err=into_stream)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...|RUN,RUN... RUN,RUN...")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page, which opens offline.")
@as_json
def compare(runs: tuple[str, ...], html: Path | None, as_json: bool) -> None:
    """Which prompt, model or researcher is better: runs that were started alike are one side; commas say otherwise."""
    from view.compare import compare_facts, compare_text
    from view.patience import Patience
    from view.recipes import split_sides

    if html is not None:
        from view.page_file import check_page

        check_page(html)
    names, sides = split_sides(runs)
    with Patience("compare", None if as_json else only_on_a_terminal) as patience:
        records = [read_record(find_run(PROJECT, name)) for name in patience.each("reading runs", names)]
        patience.stage("working it out")
        facts = compare_facts(records, sides)
        if html is not None:
            from view.compare_page import write_compare

            patience.stage("drawing the page")
            written = write_compare(facts, html)["file"]
    if html is not None:
        click.echo(f"wrote {written}", err=True)
    say(facts, compare_text(facts), as_json)


@click.command()
@click.argument("run", required=False)
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="So many times as fast as it was. Default: over in a minute.")
def replay(run: str | None, speed: float | None) -> None:
    """See a run's status go by, as it was, from its files alone."""
    from view.replay import replay as play

    play(read_record(find_run(PROJECT, run)), speed)


@click.command()
@as_json
def runs(as_json: bool) -> None:
    """All runs of this repository."""
    from view.status import runs_facts, runs_text

    facts = runs_facts(PROJECT)
    say(facts, runs_text(facts), as_json)
