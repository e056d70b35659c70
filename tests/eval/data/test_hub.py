"""Data sets of the hub: the ready tasks against small local files with the same columns, and what can be wrong with others."""
import gzip
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from eval.data.hub import rows
from eval.task import HubData, load_task, task_names
from state.errors import UserError
from tests.eval.hub_server import PATIENT

ROOT = Path(__file__).resolve().parents[3]
REVISION = "0123456789abcdef0123456789abcdef01234567"


def content(name, records):
    """The bytes of a file of this name that holds these records."""
    if name.endswith(".parquet"):
        sink = pyarrow.BufferOutputStream()
        parquet.write_table(pyarrow.Table.from_pylist(records), sink)
        return sink.getvalue().to_pybytes()
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    return gzip.compress(lines) if name.endswith(".gz") else lines


def put(cache, data, files):
    """Files (name -> records or bytes) of a data set, as the hub's own client would leave them in its cache."""
    snapshot = cache / f"datasets--{data.dataset.replace('/', '--')}" / "snapshots" / data.revision
    for name, records in files.items():
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes(records if isinstance(records, bytes) else content(name, records))


def hub(files=("data.jsonl",), form="binary", **options):
    columns = {"question": "q", "choice": "c", "label": "ok"} if form == "binary" else {
        "prompt": "p", "first": "a", "second": "b", "label": "better"}
    return HubData.model_validate({"source": "hub", "format": form, "dataset": "someone/something", "revision": REVISION,
                                   "files": files, "columns": columns, **options})


def some(count=6, start=0, **more):
    return [{"q": f"Question {number // 3}", "c": f"choice {number}", "ok": number % 3 == 0, **more}
            for number in range(start, start + count)]


def load(tmp_path, data, files):
    put(tmp_path, data, files)
    return rows(data, tmp_path)


def fault(tmp_path, data, files, *parts):
    with pytest.raises(UserError) as refusal:
        load(tmp_path, data, files)
    said = str(refusal.value)
    assert "\n" not in said and not [part for part in (data.dataset, *parts) if part not in said], said


SHP = {"post_id": "x", "domain": "askhr_train", "upvote_ratio": 0.9, "c_root_id_A": "a", "c_root_id_B": "b",
       "created_at_utc_A": 1, "created_at_utc_B": 2, "score_A": 5, "score_B": 9, "seconds_difference": 60.0, "score_ratio": 1.8}


def test_shp_prefers_a_where_its_label_is_1(tmp_path):
    data = load_task("shp").data
    records = [{**SHP, "history": f"Question {number // 2}?", "human_ref_A": f"this {number}", "human_ref_B": f"that {number}",
                "labels": number % 2} for number in range(40)]
    found = load(tmp_path, data, {file: records[number::4] for number, file in enumerate(data.files)})
    assert len(found) == 40 and len({row.group for row in found}) == 20
    assert {(int(row.fields["first"].split()[1]) % 2, row.label) for row in found} == {(0, 1), (1, 0)}
    assert all(set(row.fields) == {"prompt", "first", "second"} and row.file is None for row in found)


def test_helpsteer_prefers_the_first_response_where_the_strength_is_negative_and_ties_are_left_out(tmp_path):
    data = load_task("helpsteer").data
    records = [{"split": "train", "prompt": f"Prompt {strength}", "response_1": "one", "response_2": "two",
                "preference_strength": strength, "preference_statement": "better", "preference_elaboration": "why",
                "three_most_similar_preferences": [], "all_preferences_unprocessed": []} for strength in range(-3, 4)]
    found = load(tmp_path, data, {data.files[0]: records})
    assert {row.fields["prompt"]: row.label for row in found} == {
        "Prompt -3": 0, "Prompt -2": 0, "Prompt -1": 0, "Prompt 1": 1, "Prompt 2": 1, "Prompt 3": 1}


def test_openmath_takes_solutions_of_both_files_with_what_they_come_to(tmp_path):
    data = load_task("openmath").data
    right, wrong = ([{"question": f"How many, {number % 3}?", "generated_solution": f"Thus {answer}, {number}.",
                      "is_correct": ok, "expected_answer": "4", "predicted_answer": answer, "error_message": "<not_executed>",
                      "generation_type": "without_reference_solution", "dataset": "gsm8k"} for number in range(9)]
                    for ok, answer in ((True, "4"), (False, None)))
    found = load(tmp_path, data, {data.files[0]: right, data.files[1]: wrong})
    assert Counter((row.label, row.key) for row in found) == {(1, "4"): 9, (0, None): 9}
    assert len({row.group for row in found}) == 3 and all(set(row.fields) == {"question", "choice"} for row in found)


@pytest.mark.parametrize("name", [name for name in task_names() if load_task(name).data.source == "hub"])
def test_a_ready_data_set_is_pinned_to_a_commit(name):
    assert len(load_task(name).data.revision) == 40 and int(load_task(name).data.revision, 16)


@pytest.mark.parametrize("file", ["a.jsonl", "a.jsonl.gz", "a.json", "deep/down/a.parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path, file):
    found = load(tmp_path, hub([file]), {file: some()})
    assert [(row.fields["choice"], row.label) for row in sorted(found, key=lambda row: row.fields["choice"])] == [
        (f"choice {number}", int(number % 3 == 0)) for number in range(6)]


def test_a_json_file_may_be_one_list(tmp_path):
    assert len(load(tmp_path, hub(["a.json"]), {"a.json": json.dumps(some(), indent=1).encode()})) == 6


@pytest.mark.parametrize("file", ["chat.parquet", "chat.jsonl"])
def test_dots_go_into_nested_columns_and_lists(tmp_path, file):
    records = [{"talk": [{"role": "user", "content": f"Say {n}"}], "judge": {"winner": "model_a" if n % 2 else "model_b"},
                "replies": {"one": {"text": f"a{n}"}, "two": {"text": f"b{n}"}}} for n in range(4)]
    data = hub([file], "preference", values={"model_a": "A", "model_b": "B"}, columns={
        "prompt": "talk.-1.content", "first": "replies.one.text", "second": "replies.two.text", "label": "judge.winner"})
    found = load(tmp_path, data, {file: records})
    assert {row.fields["prompt"]: (row.fields["first"], row.label) for row in found} == {
        "Say 0": ("a0", 1), "Say 1": ("a1", 0), "Say 2": ("a2", 1), "Say 3": ("a3", 0)}


@pytest.mark.parametrize("written, values", [
    ((0, 1), {"0": False, "1": True}), ((0.0, 1.0), {"0": False, "1": True}), (("no", "yes"), {"no": False, "yes": True}),
    ((True, False), {"true": False, "false": True}),
])
def test_values_say_what_a_label_means(tmp_path, written, values):
    records = [{"q": "Q", "c": f"c{n}", "ok": written[n % 2]} for n in range(4)]
    found = load(tmp_path, hub(values=values), {"data.jsonl": records})
    assert {row.fields["choice"]: row.label for row in found} == {"c0": 0, "c1": 1, "c2": 0, "c3": 1}


def test_rows_without_a_text_or_a_label_and_duplicates_are_left_out(tmp_path):
    spoilt = [{"q": "Q", "c": "", "ok": True}, {"q": None, "c": "c", "ok": True}, {"q": "Q", "c": "c", "ok": None},
              {"q": "Q", "c": " \n", "ok": True}]
    assert len(load(tmp_path, hub(), {"data.jsonl": some() + spoilt + some()})) == 6


def test_at_most_so_many_rows_are_taken_equally_from_each_file_whatever_their_order(tmp_path):
    data = hub(["a.jsonl", "b.jsonl"], most=100)
    files = {"a.jsonl": some(400), "b.jsonl": some(200, start=400)}
    found = load(tmp_path / "one", data, files)
    numbers = [int(row.fields["choice"].split()[1]) for row in found]
    assert Counter(number < 400 for number in numbers) == {True: 50, False: 50}
    assert numbers != sorted(numbers) and len({number // 40 for number in numbers if number < 400}) == 10
    assert load(tmp_path / "two", data, {name: records[::-1] for name, records in files.items()}) == found


def test_choices_of_one_question_share_a_group_and_an_id_can_say_which(tmp_path):
    data = hub(columns={"question": "q", "choice": "c", "label": "ok", "consistency_id": "id", "consistency_key": "to"})
    records = [{**row, "id": number // 2, "to": [number]} for number, row in enumerate(some())]
    found = load(tmp_path, data, {"data.jsonl": records})
    assert len({row.group for row in found}) == 3 and {row.key for row in found} == {f"[{number}]" for number in range(6)}


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path):
    fault(tmp_path, hub(columns={"question": "q", "choice": "c.text", "label": "ok"}), {"data.jsonl": some()},
          "data.jsonl row 1", "no column c.text")
    fault(tmp_path, hub(["a.parquet"], columns={"question": "query", "choice": "c", "label": "ok"}), {"a.parquet": some()},
          "a.parquet row 1", "no column query", "c, ok")


def test_a_label_of_unknown_meaning_is_shown_with_what_to_write(tmp_path):
    fault(tmp_path, hub(), {"data.jsonl": some() + [{"q": "Q", "c": "c", "ok": "maybe"}]},
          "data.jsonl row 7", "column ok", '"maybe"', "[data.values]")


def test_a_column_that_holds_no_texts_is_refused(tmp_path):
    data = hub(columns={"question": "ok", "choice": "c", "label": "ok"})
    fault(tmp_path, data, {"data.jsonl": some()}, "column ok", "not a text")


def test_the_mapping_names_each_field_of_the_format_and_no_other(tmp_path):
    fault(tmp_path, hub(columns={"question": "q", "label": "ok"}), {}, "the field choice")
    columns = {"prompt": "p", "first": "a", "second": "b", "label": "l", "answer": "x"}
    fault(tmp_path, hub(form="preference", columns=columns), {}, '"answer"', "preference")


def test_a_single_class_is_refused(tmp_path):
    fault(tmp_path, hub(values={"true": "skip"}), {"data.jsonl": some()}, "both classes")


@pytest.mark.parametrize("file, found, part", [
    ("a.jsonl", content("a.jsonl", some()) + b'{"q', "cannot be read"), ("a.jsonl", b"caf\xe9\n", "cannot be read"),
    ("a.jsonl.gz", b"no gzip", "cannot be read"), ("a.jsonl.gz", content("a.gz", some(99))[:-9], "cannot be read"),
    ("a.jsonl", b'["one", "list"]', "no column q"), ("a.parquet", b"PAR1 no parquet", "no parquet file"),
    ("a.csv", b"q,c,ok\n", "files of this kind"),
])
def test_a_broken_file_is_one_line(tmp_path, file, found, part):
    fault(tmp_path, hub([file]), {file: found}, file, part)


@pytest.fixture(scope="module")
def fake_hub():
    """A server that speaks as much of the hub as the download of a file takes; it has one file of someone/something."""
    data = content("data.jsonl", some())

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            refusals = {"nobody/nothing": (404, "RepoNotFound"), "someone/asks": (403, "GatedRepo")}
            status, code = next((answer for name, answer in refusals.items() if f"/{name}/" in self.path), (200, None))
            if status == 200 and REVISION not in self.path:
                status, code = 404, "RevisionNotFound"
            if status == 200 and not self.path.endswith("/data.jsonl"):
                status, code = 404, "EntryNotFound"
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("ETag", '"0123456789abcdef"')
            self.send_header("Content-Length", str(len(data) if status == 200 else 0))
            self.end_headers()
            return status == 200

        def do_GET(self):
            if self.do_HEAD():
                self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


SCRIPT = """
import json, sys
from eval.data.load import load_rows
from eval.task import HubData
from state.errors import UserError
for values in json.loads(sys.argv[1]):
    try:
        print(len(load_rows(HubData.model_validate(values))))
    except UserError as error:
        print(error)
"""


def in_process(cache, tries, **environment):
    """What a fresh process, which alone reads the hub's settings anew, says to each of these data sets."""
    told = {"HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*", **PATIENT, **environment}
    command = [sys.executable, "-c", SCRIPT, json.dumps([data.model_dump(mode="json") for data in tries])]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **told}, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_a_network_a_cached_file_is_read_and_another_one_is_one_line(tmp_path):
    put(tmp_path, hub(), {"data.jsonl": some()})
    said = in_process(tmp_path, [hub(), hub(["other.jsonl"])], HF_HUB_OFFLINE="1")
    assert said[0] == "6" and len(said) == 2
    assert all(part in said[1] for part in ("someone/something", REVISION, "other.jsonl", "HF_HUB_OFFLINE", "HF_HUB_CACHE"))


def test_a_file_is_downloaded_once_and_refusals_of_the_hub_are_told_apart(tmp_path, fake_hub):
    tries = [hub(), hub(["other.jsonl"]), hub(revision="f" * 40), hub(dataset="nobody/nothing"), hub(dataset="someone/asks"),
             hub(dataset="a/b/c")]
    said = in_process(tmp_path, tries, HF_ENDPOINT=fake_hub, HF_HUB_DISABLE_XET="1")
    assert said[0] == "6" and len(said) == len(tries)
    for line, part in zip(said[1:], ("other.jsonl: the hub does not have it", "f" * 40, "nobody/nothing", "accept its terms",
                                     "owner/name")):
        assert part in line
    assert in_process(tmp_path, [hub()], HF_HUB_OFFLINE="1") == ["6"]
