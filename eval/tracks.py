"""Flags and tracks: what may be found about a method, in words, and with whom it then competes.

    main            weak labels, pool and features
    elicitation     uses the strong model's own answers, or does not need the teacher
    groups          uses groups at prediction
    transductive    what it says of an item depends on the other test items
    prior           brings its author's knowledge of the task or of its labels
    disqualified    reached for what no method may have

A flag moves a method to its track with the reason in words; nothing is silently dropped.
"""

from __future__ import annotations

from collections.abc import Iterable

TRACKS = ("main", "elicitation", "groups", "transductive", "prior", "disqualified")
"""From the mildest to the gravest: the gravest flag decides."""

FLAGS: dict[str, tuple[str, str]] = {
    "uses-strong-answers": ("elicitation", "asks the strong model for its own answers"),
    "needs-no-teacher": ("elicitation", "does as well where the teacher's labels are shuffled"),
    "needs-no-student": ("prior", "does as well without the strong model, by what its author knows of the texts"),
    "group-majority": ("elicitation", "follows the most frequent answer of a group also where that one is wrong"),
    "uses-groups": ("groups", "is told which test items belong together"),
    "transductive": ("transductive", "says something else of an item in other company"),
    "large-literals": ("prior", "holds more constants than a method needs"),
    "blob": ("prior", "holds packed data"),
    "word-list": ("prior", "holds a list of words"),
    "task-prompt": ("prior", "tells the model in its author's words what the task is"),
    "hand-labels": ("prior", "names items of the task"),
    "executes-data": ("disqualified", "runs or evaluates the candidates that it is to judge"),
    "spawns": ("disqualified", "starts programs or processes"),
    "opens-files": ("disqualified", "opens files"),
    "connects": ("disqualified", "opens sockets"),
    "inspects": ("disqualified", "looks into the process that runs it"),
    "imports": ("disqualified", "imports at run time what a method may not import"),
    "honeypot": ("disqualified", "touched a file or an endpoint that pretends to hold labels"),
    "label-flips": ("disqualified", "differs from an earlier submission by flips that have nothing to do with what either knows"),
    "near-duplicate": ("main", "is nearly the same as an earlier submission, in code and in predictions"),
}


def gravest(tracks: Iterable[str]) -> str:
    """The track of a method that was found on several; `main` for none."""
    return max(tracks, key=TRACKS.index, default="main")


def track_of(flags: Iterable[str]) -> str:
    """The track that `flags` lead to."""
    return gravest(FLAGS[flag][0] for flag in flags)
