"""Whether a task's models suit it, found out before anything is computed or kept: they can be had, they have the layers that are
asked for, and a language model that is fine-tuned can tell its answers apart.
"""
from __future__ import annotations

from pathlib import Path

from eval.models import describe_model, resolve_model
from eval.task import FineTuning, Task, resolve_views
from state.errors import UserError


def check_models(task: Task) -> None:
    """Fetch the models where they are not here, and check them. UserError, one line, for the first that is of no use."""
    strong = resolve_model(task.strong, task.revision)
    try:
        resolve_views(task.views, describe_model(strong).layers)
    except ValueError as error:
        raise UserError(f"task {task.name}, field views: {error} ({task.strong}): name layers that it has, or shares such as 60%") from None
    for spec in task.teachers:
        if spec.model is not None:
            _check_answers(task, resolve_model(spec.model, spec.revision), spec.finetune, f"teacher {spec.model}", "teachers.finetune.head")
    if "finetune" in (task.student_of("search"), task.student_of("sealed")):
        _check_answers(task, strong, task.finetune, f"student {task.strong}", "finetune.head")


def _check_answers(task: Task, folder: Path, settings: FineTuning, who: str, field: str) -> None:
    if settings.head != "tokens" or not describe_model(folder).causal:
        return  # an encoder always gets a head
    if task.prompts is None:
        raise UserError(f"task {task.name}, field {field}: the fine-tuned {who} is to answer in words (head = \"tokens\"), and there are "
                        'no [prompts] that say which: give the task [prompts] with answers, or say head = "head"')
    from eval.language import LanguageModel
    try:
        LanguageModel(folder).answer_ids(task.prompts.answers)
    except ValueError as error:
        raise UserError(f"task {task.name}, field prompts.answers: {error}") from None
