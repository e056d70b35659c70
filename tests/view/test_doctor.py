from view.doctor import doctor_text


def attempt(name, sandbox="shell", blocked=True, control=True):
    return {"name": name, "sandbox": sandbox, "blocked": blocked, "control": control, "detail": "EPERM\x1b[2J"}


def facts(*attempts, isolation="bubblewrap"):
    return {"isolation": isolation, "totals": "watchdog", "baits": True, "attempts": list(attempts), "gpus": [], "slots": 1}


def test_an_escape_is_loud_and_names_its_sandbox():
    text = doctor_text(facts(attempt("read a label"), attempt("read a label", "method", blocked=False)))
    assert "ESCAPED" in text
    assert "NOT BLOCKED: read a label in the method sandbox: EPERM" in text
    assert "1 of 2 attempts blocked" in text and "\x1b" not in text


def test_an_attempt_that_fails_outside_too_proves_nothing():
    text = doctor_text(facts(attempt("open a vsock", control=False)))
    assert "blocked?" in text and "not proven: open a vsock" in text and "0 of them succeed outside" in text


def test_without_walls_the_stamp_comes_first():
    assert doctor_text(facts(isolation="none")).startswith("ISOLATION: NONE")


def test_a_gpu_on_which_cuda_does_not_start_is_loud_and_not_counted():
    works = {"number": 0, "name": "Made Up", "cuda": True, "detail": "torch 2.13.0"}
    broken = {"number": 1, "name": "Made Up", "cuda": False, "detail": "the driver library is missing\x1b[2J"}
    text = doctor_text({**facts(), "gpus": [works, broken]})
    assert "GPU 0 (Made Up): CUDA starts in the method sandbox: torch 2.13.0" in text
    assert "GPU 1 (Made Up): NO CUDA in the method sandbox: the driver library is missing" in text and "\x1b" not in text
    assert "1 slot for heavy work, 1 of 2 GPUs usable" in text
    assert "GPUs: NO CUDA" in doctor_text({**facts(), "gpus": [{**broken, "number": None}]})
    assert "1 slot for heavy work, no GPU" in doctor_text(facts())


def test_who_counts_the_totals_is_said_and_each_kind_of_sandbox_has_a_column():
    text = doctor_text(facts(attempt("read a label"), attempt("read a label", "warm"), attempt("race a commit")))
    assert "shell sandbox" in text and "warm sandbox" in text
    assert next(line for line in text.splitlines() if line.startswith("race a commit")).split()[-2:] == ["blocked", "-"]
    assert "totals of memory and processes: watchdog" in text
    assert "cgroup v2" in doctor_text({**facts(), "totals": "cgroup v2"})
    assert "baits: who touches one is noticed" in text and "NOT noticed" in doctor_text({**facts(), "baits": False})
    assert "totals" not in doctor_text({**facts(isolation="none"), "totals": "none"})
