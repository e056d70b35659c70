"""A folder of the user: what is read, and each fault as one line that names file, line and field."""
import json

import pytest

from eval.data.load import load_rows
from eval.task import FolderData
from state.errors import UserError

LABELLED, POOL, POOL_LABELS, TEST = "train_label.jsonl", "train_unlabel.jsonl", "train_unlabel.labels.jsonl", "test.jsonl"


def preference(number, label=None):
    row = {"prompt": f"Prompt {number}", "first": f"first {number}", "second": f"second {number}"}
    return row if label is None else {**row, "label": label}


def binary(number, label=None, **more):
    row = {"question": f"Question {number}?", "choice": f"choice {number}", **more}
    return row if label is None else {**row, "label": label}


class Folder:
    """A sound folder of a format, to be spoilt."""

    def __init__(self, path, form):
        self.path, self.form = path, form
        make, labels = (preference, "AB") if form == "preference" else (binary, (False, True))
        self.write(LABELLED, [make(number, labels[number % 2]) for number in range(4)])
        self.write(POOL, [make(number) for number in range(10, 14)])
        self.write(TEST, [make(number, labels[number % 2]) for number in range(20, 24)])

    def write(self, file, rows):
        lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
        (self.path / file).write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    def change(self, file, line, row):
        rows = (self.path / file).read_text(encoding="utf-8").splitlines()
        rows[line - 1] = row if isinstance(row, str) else json.dumps(row)
        self.write(file, rows)

    def rows(self, **options):
        return load_rows(FolderData(source="jsonl", format=self.form, folder=str(self.path), **options))

    def fault(self, *parts, **options):
        """The one line that the folder is refused with holds all these parts."""
        with pytest.raises(UserError) as refusal:
            self.rows(**options)
        said = str(refusal.value)
        assert "\n" not in said and len(said) < 500
        missing = [part for part in (str(self.path), *parts) if part not in said]
        assert not missing, f"{missing} not in: {said}"


@pytest.fixture
def math(tmp_path):
    return Folder(tmp_path, "binary")


@pytest.fixture
def chat(tmp_path):
    return Folder(tmp_path, "preference")


def test_preferences_are_read_with_their_classes_and_files(chat):
    rows = chat.rows()
    assert [row.file for row in rows] == ["labelled"] * 4 + ["pool"] * 4 + ["test"] * 4
    assert {row.label for row in rows if row.file == "pool"} == {None}
    second_is_better = next(row for row in rows if row.fields["prompt"] == "Prompt 1")
    assert second_is_better.label == 1 and set(second_is_better.fields) == {"prompt", "first", "second"}


def test_a_true_choice_is_class_1_and_a_false_one_class_0(math):
    labels = {row.fields["question"]: row.label for row in math.rows() if row.file != "pool"}
    assert (labels["Question 20?"], labels["Question 21?"]) == (0, 1)


def test_a_whole_row_may_carry_fields_that_the_other_format_has_too(chat):
    chat.change(TEST, 1, {**preference(20, "A"), "question": "of a survey"})
    assert len(chat.rows()) == 12


def test_metadata_answers_and_unknown_fields_are_in_no_item(math):
    hidden = {"subset": "algebra", "difficulty": 5, "consistency_key": "42", "id": 7, "solved_by": "someone"}
    math.change(LABELLED, 1, binary(0, True, **hidden))
    math.change(LABELLED, 2, binary(1, True, answer=[1, 2]))
    keys = {row.key for row in math.rows()}
    assert all(set(row.fields) == {"question", "choice"} for row in math.rows())
    assert keys == {"42", "[1, 2]", None}


def test_choices_of_one_question_are_one_group_however_it_is_spaced_or_capitalised(math):
    math.write(TEST, [binary(20, True), {"question": "question  20?", "choice": "other", "label": False}, binary(21, True)])
    groups = [row.group for row in math.rows() if row.file == "test"]
    assert sorted(groups.count(group) for group in set(groups)) == [1, 2]


def test_signs_of_a_formula_tell_questions_apart(math):
    math.write(TEST, [{"question": f"What is 2 {sign} 3?", "choice": "5", "label": True} for sign in "+-*"])
    assert len({row.digest for row in math.rows() if row.file == "test"}) == 3


def test_a_consistency_id_makes_the_group_and_may_start_anew_in_each_file(math):
    math.write(LABELLED, [binary(number, True, consistency_id=number // 2) for number in range(4)])
    math.write(TEST, [binary(number, True, consistency_id=number // 2) for number in (20, 21, 0 + 22, 23)])
    math.change(TEST, 1, binary(20, True, consistency_id=0))
    groups = {}
    for row in math.rows():
        groups.setdefault(row.group, set()).add(row.file)
    assert all(len(files) == 1 for files in groups.values())
    assert len({row.group for row in math.rows() if row.file == "labelled"}) == 2


def test_labels_of_the_pool_come_from_the_file_beside_it_in_its_order(chat):
    chat.write(POOL_LABELS, [{"label": "B"}, {"label": "A"}, {"label": "A"}, {"label": "B"}])
    labels = {row.fields["prompt"]: row.label for row in chat.rows() if row.file == "pool"}
    assert labels == {"Prompt 10": 1, "Prompt 11": 0, "Prompt 12": 0, "Prompt 13": 1}
    assert {row.label for row in chat.rows(pool_labels="none") if row.file == "pool"} == {None}


def test_labels_of_the_pool_may_stand_in_its_rows_where_the_task_says_so(math):
    math.write(POOL, [binary(number, number % 2 == 0) for number in range(10, 14)])
    assert sorted(row.label for row in math.rows(pool_labels="inline") if row.file == "pool") == [0, 0, 1, 1]
    math.fault(f"{POOL} line 1, field label", "a row of the pool has a label", "inline")


def test_blank_lines_a_byte_order_mark_and_line_separators_in_texts_do_no_harm(math):
    math.write(TEST, ["\ufeff" + json.dumps(binary(20, True)), "", "   ",
                      {**binary(21, False), "choice": "one\u2028line\x85still"}])
    assert sum(row.file == "test" for row in math.rows()) == 2


def test_the_order_is_the_same_whatever_the_order_of_the_files_lines(math):
    before = math.rows()
    for file in (LABELLED, POOL, TEST):
        math.write(file, (math.path / file).read_text().splitlines()[::-1])
    assert math.rows() == before


def test_a_row_may_occur_twice_in_one_file(math):
    math.write(POOL, [binary(10), binary(10)])
    assert sum(row.file == "pool" for row in math.rows()) == 2


def test_no_folder_named_says_how_to_name_one():
    with pytest.raises(UserError, match="--data FOLDER; it needs train_label.jsonl, train_unlabel.jsonl, test.jsonl"):
        load_rows(FolderData(source="jsonl", format="binary"))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="nowhere: there is no such folder.*--data FOLDER"):
        load_rows(FolderData(source="jsonl", format="binary", folder=str(tmp_path / "nowhere")))


@pytest.mark.parametrize("file", [LABELLED, POOL, TEST])
def test_a_missing_file(math, file):
    (math.path / file).unlink()
    math.fault(f"{file}: there is no such file", "README.md")


@pytest.mark.parametrize("file", [LABELLED, POOL, TEST])
def test_an_empty_file(math, file):
    math.write(file, ["", " "])
    math.fault(f"{file}: it is empty", '{"question", "choice"' + ("}" if file == POOL else ', "label": false | true}'))


@pytest.mark.parametrize("field", ["prompt", "first", "second"])
def test_a_missing_field(chat, field):
    row = preference(21, "A")
    del row[field]
    chat.change(TEST, 2, row)
    chat.fault(f"{TEST} line 2, field {field}", "missing", '{"prompt", "first", "second", "label": "A" | "B"}')


def test_a_misspelt_field_is_shown(math):
    math.change(TEST, 3, {"quesiton": "What?", "choice": "that", "label": True})
    math.fault(f"{TEST} line 3, field question", "quesiton, choice, label")


@pytest.mark.parametrize("value, shown", [(7, "7"), (None, "null"), (["a"], '["a"]'), ({"role": "user"}, "user")])
def test_a_field_of_another_type(math, value, shown):
    math.change(POOL, 2, {"question": "What?", "choice": value})
    math.fault(f"{POOL} line 2, field choice", shown, "not a text")


def test_a_blank_text(chat):
    chat.change(TEST, 4, {**preference(23, "B"), "first": " \n"})
    chat.fault(f"{TEST} line 4, field first", "is blank")


def test_half_of_a_surrogate_pair(math):
    math.change(TEST, 1, r'{"question": "\ud83d", "choice": "x", "label": true}')
    math.fault(f"{TEST} line 1, field question", "surrogate")


@pytest.mark.parametrize("file", [LABELLED, TEST])
def test_a_missing_label(math, file):
    math.change(file, 2, binary(99))
    math.fault(f"{file} line 2, field label", "missing", "true or false")


@pytest.mark.parametrize("label", [1, 0, "true", "True", "A", None, 0.5, [True]])
def test_a_label_that_is_neither_true_nor_false(math, label):
    math.change(TEST, 2, {**binary(21), "label": label})
    math.fault(f"{TEST} line 2, field label", "true or false")


@pytest.mark.parametrize("label", [True, 0, "a", "C", "first", ["A"]])
def test_a_label_that_is_neither_a_nor_b(chat, label):
    chat.change(LABELLED, 4, preference(3, label))
    chat.fault(f"{LABELLED} line 4, field label", '"A" or "B"')


def test_a_label_in_the_pool(chat):
    chat.change(POOL, 3, preference(12, "A"))
    chat.fault(f"{POOL} line 3, field label", "take it out", POOL_LABELS)


def test_a_binary_row_among_preferences(chat):
    chat.change(TEST, 3, binary(22, True))
    chat.fault(f"{TEST} line 3, field question", "binary format", "reads preference rows")


def test_a_preference_row_among_binary_ones(math):
    math.change(POOL, 1, preference(10))
    math.fault(f"{POOL} line 1, field prompt", "preference format", "reads binary rows")


def test_bad_json_names_the_column(math):
    math.change(LABELLED, 2, '{"question": "What?", "choice": "that" "label": true}')
    math.fault(f"{LABELLED} line 2: it is not JSON", "column 40", "one JSON object a line")


@pytest.mark.parametrize("line", ["[1, 2]", '"text"', "3", "9" * 5000, "[" * 100_000])
def test_a_line_that_is_no_object(math, line):
    math.change(LABELLED, 1, line)
    math.fault(f"{LABELLED} line 1", "JSON object a line" if len(line) < 10 else "JSON")


def test_text_that_is_not_utf_8(math):
    content = (math.path / TEST).read_bytes().splitlines()
    content[2] = json.dumps(binary(22, True)).encode().replace(b"choice 22", "caf\xe9".encode("latin-1"))
    (math.path / TEST).write_bytes(b"\n".join(content))
    math.fault(f"{TEST} line 3: byte", "not UTF-8", "save the file as UTF-8")


@pytest.mark.parametrize("first, second", [(LABELLED, POOL), (LABELLED, TEST), (POOL, TEST)])
def test_a_row_in_two_files_is_named_with_both_places(chat, first, second):
    row = preference(50)
    for file, line in ((first, 2), (second, 3)):
        chat.change(file, line, row if file == POOL else {**row, "label": "A"})
    chat.fault(f"{second} line 3: the same row is in {first} line 2", "take one of the two out")


def test_a_question_in_training_and_test_is_a_leak_even_with_another_choice(math):
    math.change(POOL, 4, {"question": "question  21?", "choice": "something else"})
    math.fault(f"{TEST} line 2, field question", f"{POOL} line 4", "leak")


def test_a_question_may_be_in_the_labelled_rows_and_in_the_pool(math):
    math.change(POOL, 1, {"question": "Question 1?", "choice": "something else"})
    group = {row.group for row in math.rows() if row.fields["question"] == "Question 1?"}
    assert len(group) == 1


@pytest.mark.parametrize("count", [3, 5])
def test_as_many_labels_as_the_pool_has_rows(math, count):
    math.write(POOL_LABELS, [{"label": True}] * count)
    math.fault(f"{POOL_LABELS}: it has {count} labels for the 4 rows of {POOL}")


def test_a_wrong_label_beside_the_pool(math):
    math.write(POOL_LABELS, [{"label": True}, {"label": False}, {"label": "yes"}, {"label": True}])
    math.fault(f"{POOL_LABELS} line 3, field label", '"yes"', "true or false")


def test_a_message_stays_one_short_line_whatever_the_row_holds(math):
    math.change(TEST, 1, {**binary(20), "label": "\x1b[31mred\n" * 500})
    math.fault(f"{TEST} line 1, field label", "\\u001b[31mred\\n")
    math.change(TEST, 1, {f"field\n{number}": 1 for number in range(500)})
    math.fault(f"{TEST} line 1, field question")


@pytest.mark.parametrize("file", [LABELLED, TEST])
def test_one_row_with_two_labels_is_named_with_both_places(math, file):
    row = {"question": "What?", "choice": "that"}
    math.change(file, 1, {**row, "label": True})
    math.change(file, 3, {**row, "label": True})
    assert len(math.rows()) == 12
    math.change(file, 4, {**row, "label": False})
    math.fault(f"{file} line 4, field label", f"the same row has another label in {file} line 1")


def test_one_pool_row_with_two_labels_in_the_file_beside_it(math):
    math.change(POOL, 4, binary(10))
    math.write(POOL_LABELS, [{"label": label} for label in (True, False, False, True)])
    assert len(math.rows()) == 12
    math.write(POOL_LABELS, [{"label": label} for label in (True, False, False, False)])
    math.fault(f"{POOL} line 4, field label", f"{POOL} line 1")


@pytest.mark.parametrize("second", [{"consistency_id": 2}, {}])
def test_one_question_under_two_consistency_ids_of_one_file(math, second):
    math.change(TEST, 1, {"question": "What?", "choice": "this", "label": True, "consistency_id": 1})
    math.change(TEST, 3, {"question": "what? ", "choice": "that", "label": False, **second})
    math.fault(f"{TEST} line 3, field consistency_id", f"also that of {TEST} line 1")
    math.change(TEST, 3, {"question": "what? ", "choice": "that", "label": False, "consistency_id": 1})
    assert len(math.rows()) == 12


@pytest.mark.parametrize("value", [True, False, 1.5, ["a"]])
def test_a_consistency_id_is_a_number_or_a_text(math, value):
    math.change(POOL, 2, binary(11, consistency_id=value))
    math.fault(f"{POOL} line 2, field consistency_id", json.dumps(value), "a number or a text")
