"""How a command ends where a file is somebody else's, or the disk is full."""

import errno
import os
from types import SimpleNamespace

import pytest

from state.errors import UserError, ended
from swarm.sockets import connect_to, listen_at
from tests.view.made import as_another_user
from view.ending import exit_code, resumable


def test_a_file_of_another_user_is_one_line_that_names_it_and_whom_to_ask(seen_by_all, capsys):
    mine, closed = seen_by_all / "ledger.jsonl", seen_by_all / "evaluator"
    closed.mkdir(mode=0o700)
    mine.touch(mode=0o600)
    for file, named in ((mine, mine), (closed / "sealed.jsonl", closed)):
        with as_another_user():
            assert exit_code(lambda file=file: open(file)) == 2
        said = capsys.readouterr().err
        assert said == f"aar: {named} belongs to another user (Permission denied): ask them, or do this as root\n"


def test_what_is_refused_without_a_file_is_not_hidden():
    def refused():
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with pytest.raises(PermissionError):
        exit_code(refused)


def test_only_what_operates_a_run_says_of_a_full_disk_that_resume_goes_on(capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert exit_code(full) == 2
    assert capsys.readouterr().err == "aar: the disk is full (while writing): free some space\n"
    assert exit_code(lambda: resumable(full)(SimpleNamespace(name="r1"))) == 2
    assert "nothing was lost, `python aar.py resume r1` goes on" in capsys.readouterr().err
    with pytest.raises(UserError, match="free some space; nothing was lost"):
        resumable(full)(SimpleNamespace(name="r1"))


@pytest.mark.parametrize("end", [exit_code, ended])
def test_a_file_system_that_is_read_only_is_one_line_with_what_to_do(end, capsys):
    def refused():
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/disk/ledger.jsonl")

    assert end(refused) == 2
    said = capsys.readouterr().err
    assert said == "aar: the file system is read-only (/disk/ledger.jsonl): mount it for writing, or do this in a copy elsewhere\n"


def test_a_socket_of_another_user_is_one_line_that_names_it(seen_by_all, capsys):
    socket = seen_by_all / "control.sock"
    with listen_at(socket), as_another_user():
        assert exit_code(lambda: connect_to(socket)) == 2
    said = capsys.readouterr().err
    assert said == f"aar: {socket} belongs to another user (Permission denied): ask them, or do this as root\n"


def test_a_module_that_may_not_read_a_file_of_another_user_says_whom_to_ask(seen_by_all, capsys):
    closed = seen_by_all / "evaluator"
    closed.mkdir(mode=0o700)
    with as_another_user():
        assert ended(lambda: open(closed / "secret")) == 2
    assert capsys.readouterr().err == f"aar: {closed} belongs to another user (Permission denied): ask them, or do this as root\n"
