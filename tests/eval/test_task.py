import re

import pytest
from pydantic import ValidationError

import eval.task
from eval.suits import check_models
from eval.task import Prompts, Split, Task, TeacherSpec, load_task, task_names, tell
from eval.told import told
from state.errors import UserError
from tests.eval.tiny import save_tiny


def test_every_task_of_the_folder_loads_under_its_name():
    assert {"reviews", "smoke"} <= set(task_names())
    for name in task_names():
        assert load_task(name).name == name


def test_an_unknown_task_is_refused_with_the_names_there_are():
    with pytest.raises(UserError, match="unknown task 'revues': choose from .*reviews.*smoke"):
        load_task("revues")


def test_a_name_that_is_a_path_is_refused():
    with pytest.raises(UserError):
        load_task("../tasks/smoke")


def test_overlapping_parts_are_refused():
    with pytest.raises(ValidationError, match="overlap"):
        Split(validation=(0, 500), public=(499, 1000), sealed=(1000, 2000), region=(2000, 3000))


def test_a_misspelt_field_is_refused():
    values = load_task("smoke").model_dump()
    with pytest.raises(ValidationError, match="pools"):
        Task.model_validate({**values, "pools": 3})


def test_no_item_that_one_task_tests_on_is_in_a_pool_of_another():
    same_data = [task for task in map(load_task, task_names()) if task.data == load_task("reviews").data]
    assert {"reviews", "smoke"} <= {task.name for task in same_data}
    for value in range(10_000):
        parts = {task.split.part_of(value) for task in same_data} - {None}
        assert len(parts) <= 1, f"items with hash {value} are in {parts}"


def test_search_and_sealed_draws_have_no_number_in_common():
    task = load_task("reviews")
    assert list(task.draws("search")) == list(range(8))
    assert list(task.draws("sealed")) == list(range(8, 24))
    with pytest.raises(ValueError):
        task.draws("public")


def test_the_key_changes_with_what_a_preparation_depends_on():
    task = load_task("smoke")
    assert task.key("pool", "views") == load_task("smoke").key("views", "pool")
    assert task.key("pool") != task.model_copy(update={"pool": task.pool + 1}).key("pool")


def test_descriptions_are_prose_for_agents_and_name_the_default_view():
    for name in task_names():
        task = load_task(name)
        assert re.search(r"class 1", task.description) and task.default_view in task.description


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Loads the task file `smoke` with some of its text replaced; a home where nothing was told."""
    text = (eval.task.FOLDER / "smoke.toml").read_text()

    def load(*changes, encoding="utf-8"):
        changed = text
        for old, new in changes:
            assert old in changed
            changed = changed.replace(old, new)
        (tmp_path / "smoke.toml").write_text(changed, encoding=encoding)
        return load_task("smoke")

    monkeypatch.setenv("AAR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(eval.task, "FOLDER", tmp_path)
    return load


PROMPTS = '[prompts]\nzero_shot = "{text}?"\nanswers = [" no", " yes"]\ncontrast = "{text}?{answer}"\n\n[[teachers]]'
TEACHERS = ("[[teachers]]", PROMPTS)


def test_the_changes_of_these_tests_are_of_a_file_that_loads(written):
    assert written().template == "{text}" and written(TEACHERS).prompts.contrast == "{text}?{answer}"
    assert written(('"{text}"', '"Text {{as it is}}: {text!s:.5}"')).template


@pytest.mark.parametrize("changes, told", [
    ([('"{text}"', '"{txt}"')], "template: it names {txt}: an item of this task has {text}"),
    ([('"{text}"', '"{}"')], "template: it names {}"), ([('"{text}"', '"{0}"')], "template: it names {0}"),
    ([('"{text}"', '"{text"')], "template: it is no template (expected '}' before end of string)"),
    ([('"{text}"', '"Text"')], "template: it names no field of an item"),
    ([('"{text}"', '"{text.upper}"')], "template: it names {text.upper}"),
    ([('"{text}"', '"{text:d}"')], "template: it cannot be filled with texts"),
    ([('"{text}"', '"{text} {answer}"')], "template: it names {answer}"),
    ([TEACHERS, ('"{text}?"', '"{review}?"')], "prompts.zero_shot: it names {review}"),
    ([TEACHERS, ('"{text}?{answer}"', '"{text}?"')], "prompts.contrast: it does not name {answer}"),
    ([TEACHERS, ('"{text}?{answer}"', '"Is it? {answer}"')], "prompts.contrast: it names no field"),
    ([("template =", "templat =")], "templat: there is no such field: it should be template"),
    ([("threshold =", "treshold =")], "data.treshold: there is no such field: it should be threshold"),
    ([("labelled = 200", "labelled = 200\nlength = 3")], "length: there is no such field; README.md"),
    ([('"mean:6"', '"middle:6"')], "views: 'middle:6': write last:LAYER"),
    ([("[data]", "[dat]")], "dat: there is no such field: it should be data"),
])  # fmt: skip
def test_a_mistake_in_a_task_file_is_one_line_with_the_file_and_the_field(written, tmp_path, changes, told):
    with pytest.raises(UserError) as refusal:
        written(*changes)
    said = str(refusal.value)
    assert said.startswith(f"{tmp_path / 'smoke.toml'}: {told}") and "\n" not in said


def test_a_task_file_that_is_not_utf_8_is_one_line_with_the_line(written):
    with pytest.raises(UserError, match="smoke.toml: line 3 is not UTF-8: save the file as UTF-8"):
        written(("A tiny task", "Eine winzige M\u00fche"), encoding="latin-1")


def test_layers_that_the_model_has_not_are_told_before_anything_is_computed(smoke, tmp_path, monkeypatch):
    task = smoke.task.model_copy(update={"views": ("mean:6", "last:7")})
    with pytest.raises(UserError, match=r"task smoke, field views: view last:7: the model has layers 1 to 6 \(minilm-l6\)"):
        check_models(task)


def test_a_language_model_that_answers_in_words_is_refused_where_no_prompts_say_which(smoke, tmp_path):
    folder = str(save_tiny(tmp_path / "tiny"))
    spec = TeacherSpec(kind="finetune", model=folder)
    for changes, field in (({"teachers": (spec,)}, "teachers.finetune.head"),
                           ({"strong": folder, "views": ("last:1",), "student": "finetune"}, "finetune.head")):
        task = smoke.task.model_copy(update=changes)
        with pytest.raises(UserError, match=rf"task smoke, field {field}: .*head = \"tokens\".* no \[prompts\]"):
            check_models(task)
        prompts = Prompts(zero_shot="{text}?", answers=(" no", " yes"))
        check_models(task.model_copy(update={"prompts": prompts}))
        with pytest.raises(UserError, match="field prompts.answers: .*begin with the same token"):
            check_models(task.model_copy(update={"prompts": prompts.model_copy(update={"answers": (" yes", " yes indeed")})}))
    check_models(smoke.task.model_copy(update={"teachers": (TeacherSpec(kind="finetune", model="minilm-l6"),)}))  # an encoder has a head


@pytest.fixture
def home(smoke, tmp_path, monkeypatch):
    """A home with the models, where nothing was told."""
    (tmp_path / "models").symlink_to(smoke.folder.root.parent.parent / "models")
    monkeypatch.setenv("AAR_HOME", str(tmp_path))


@pytest.mark.parametrize("mistake", [{"strong": "smolm2-135m"}, {"strong": "./nowhere"}, {"weak": "forrest"}, {"strong": "minilm-l6@main"},
                                     {"strong": "minilm-l6", "weak": "logistik"}])
def test_a_mistyped_model_is_not_kept(home, mistake):
    with pytest.raises(UserError):
        tell("reviews", **mistake)
    assert told("reviews") == {} and load_task("reviews").strong == "smollm2-135m"


def test_a_model_without_the_layers_of_the_task_is_not_kept(home):
    with pytest.raises(UserError, match="views: view last:16: the model has layers 1 to 6"):
        tell("reviews", strong="minilm-l6")
    assert told("reviews") == {}


def test_what_was_told_is_taken_back_by_saying_default(home, tmp_path):
    tell("chat", data=str(tmp_path), strong="minilm-l6", weak="logistic", students="probe")
    task = load_task("chat")
    assert (task.strong, task.teachers[0].kind, task.data.folder, task.verify_student) == ("minilm-l6", "logistic", str(tmp_path), "probe")
    for option in ("weak", "students", "data", "strong"):
        tell("chat", **{option: "default"})
        assert option not in told("chat")
    assert load_task("chat") == load_task("chat", as_told=False) and load_task("chat").strong.startswith("Qwen/")
