"""A page goes where a person asked for it, and replaces nothing that AAR did not write."""

import os
import socket
import stat
from pathlib import Path

import pytest

from state.errors import UserError
from view.page_file import GENERATOR, check_page, write_page

PAGE = b"<!doctype html>\n" + GENERATOR + b"\n<p>a page</p>\n"
TEMPLATES = Path(__file__).parents[2] / "view" / "report" / "templates"


def test_a_page_of_ours_an_empty_file_and_what_is_not_there_are_written(tmp_path):
    (tmp_path / "empty.html").touch()
    for name in ("new.html", "empty.html", "new.html"):
        write_page(tmp_path / name, PAGE)
        assert (tmp_path / name).read_bytes() == PAGE
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_is_no_page_of_ours_is_left_as_it_is(tmp_path):
    other = tmp_path / "README.md"
    other.write_text("# mine\n")
    (tmp_path / "link.html").symlink_to(other)
    for out in (other, tmp_path / "link.html"):
        with pytest.raises(UserError, match="is no page that AAR wrote: remove it, or name another file"):
            write_page(out, PAGE)
    assert other.read_text() == "# mine\n" and (tmp_path / "link.html").is_symlink()


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "pages").mkdir()
    out, target = tmp_path / "latest.html", tmp_path / "pages" / "one.html"
    out.symlink_to(target)
    for _ in ("it leads nowhere yet", "it leads to a page"):
        write_page(out, PAGE)
        assert out.is_symlink() and target.read_bytes() == PAGE


def test_a_device_is_written_through_and_stays_one(tmp_path):
    out = tmp_path / "nowhere.html"
    out.symlink_to("/dev/null")
    assert check_page(out) is None
    write_page(out, PAGE)
    assert out.is_symlink() and stat.S_ISCHR(os.stat("/dev/null").st_mode) and list(tmp_path.iterdir()) == [out]


def test_a_pipe_gets_the_page(tmp_path):
    end, start = os.pipe()
    write_page(Path(f"/dev/fd/{start}"), PAGE)
    os.close(start)
    with open(end, "rb") as pipe:
        assert pipe.read() == PAGE


def test_folders_sockets_and_missing_folders_are_refused_before_anything_is_made(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "door"))
        for name, words in (("", "no file that a page"), ("door", "no file that a page"), ("none/x.html", "there is no folder"), ("loop", "cannot be written")):
            with pytest.raises(UserError, match=words):
                check_page(tmp_path / name)
        assert stat.S_ISSOCK(os.stat(tmp_path / "door").st_mode)


@pytest.mark.parametrize("name", ["report", "compare"])
def test_every_page_carries_the_mark_by_which_it_is_known_again(name):
    assert GENERATOR in (TEMPLATES / f"{name}.html.j2").read_bytes().partition(b"<title>")[0]
