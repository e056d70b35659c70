# Everything from a fresh clone, with only git and Python >= 3.10: no root, no GPU, no key.
#
#   make run     set up, prepare the task `reviews` (once a machine), let nine agents do research for ten minutes
#   make test    set up, run the tests but for the slow ones, or those that ARGS names (downloads are kept in .aar-home/,
#                or in AAR_HOME where that is set; what tests prepare, in a folder `tests` in it)
#   make test-slow    run the others: whole runs, kills, models that are trained
#   make bench   the figures of bench/, written to bench/results/, all of them one after the other. One alone, with
#                its own options: make bench BENCH=spine ARGS="--only smoke" (python -m bench.spine --help says which)
#   make pictures RUN=name    the pictures of the README, taken of a run (needs a chromium)
#   make setup   only .venv, with the exact versions of requirements.lock
#   make clean   remove what the targets above made here; runs in .aar/ and AAR_HOME are kept
#
#   make run ARGS="--minutes 30 --seed 1"       make test ARGS="tests/view -x"       make setup PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
LOG := $(VENV)/install.log
ARGS ?=
BENCH ?= spine train features integrity researcher
WORKERS ?= 2

# No key may be spent by a target: every variable that looks like one is taken out of the environment.
KEYS := $(filter ANTHROPIC_% CLAUDE_% %_API_KEY %_AUTH_TOKEN %_ACCESS_TOKEN,$(.VARIABLES))
KEYLESS := env $(foreach key,$(KEYS),-u $(key))
AAR := $(KEYLESS) $(VENV)/bin/python aar.py

# Set-up is done when this file exists: its name changes with the lock file and with the folder, which .venv remembers.
STAMP := $(VENV)/installed-$(shell { cat requirements.lock; pwd; } | sha256sum | cut -c1-16)
# An interpreter that was removed or upgraded leaves a .venv that does not start; it is made anew.
ifneq ($(wildcard $(STAMP)),)
ifneq ($(shell $(VENV)/bin/python -c "print(1)" 2>&1),1)
$(shell rm -rf $(VENV))
endif
endif

.PHONY: run test test-slow bench pictures setup clean
.DEFAULT_GOAL := run

run: setup
	$(AAR) prepare reviews
	$(AAR) --agents 9 --researcher search $(ARGS)

test test-slow: export AAR_HOME := $(or $(AAR_HOME),$(CURDIR)/.aar-home)
test test-slow: export OMP_NUM_THREADS := 1
test: CHOSEN = $(or $(ARGS),-m "not slow")
test-slow: CHOSEN = -m slow $(ARGS)
test test-slow: setup
	$(KEYLESS) $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(CHOSEN)

bench: setup
	$(AAR) prepare smoke
	$(AAR) prepare reviews
	for name in $(BENCH); do $(KEYLESS) $(VENV)/bin/python -m bench.$$name $(ARGS) || exit; done

pictures: setup
	$(KEYLESS) $(VENV)/bin/python -m view.pictures $(RUN)

clean:
	rm -rf $(VENV) .aar-home .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

setup: $(STAMP)

$(STAMP):
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) on PATH: install Python >= 3.10, or say PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("make: $(PYTHON) is Python %d.%d, AAR needs >= 3.10: say PYTHON=/path/to/python3.10 or newer" % sys.version_info[:2])'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) cannot make virtual environments: install its venv module (Debian, Ubuntu: apt install python3-venv), or say PYTHON=/path/to/another" >&2; exit 2; }
	@command -v git >/dev/null || { echo "make: no git on PATH: install git" >&2; exit 2; }
	@test -x $(VENV)/bin/python && $(VENV)/bin/python -m pip --version >/dev/null 2>&1 || { echo "making $(VENV) with $$($(PYTHON) --version)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@rm -f $(LOG) $(VENV)/installed-*; echo "installing requirements.lock into $(VENV) (2 to 5 minutes, longer with the CUDA build of torch)"
	@PIP_DEFAULT_TIMEOUT=$${PIP_DEFAULT_TIMEOUT:-60} $(VENV)/bin/python -m pip install --disable-pip-version-check --no-input \
		--retries 5 --log $(LOG) -r requirements.lock || { \
		missing=$$(sed -n 's/.*No matching distribution found for \([^ ]*\).*/\1/p' $(LOG) | tail -1); \
		working_on=$$(sed -n 's/.*\(Collecting\|Downloading\|Building wheel for\) \([^ ]*\).*/\2/p' $(LOG) | tail -1); \
		if grep -q 'No space left on device' $(LOG); then \
			echo "make: the disk is full: free about 6 GB where $(VENV) and TMPDIR lie and say make again" >&2; \
		elif tail -200 $(LOG) | grep -qE 'Retrying \(Retry|Max retries|TimeoutError|ConnectionError|ProtocolError|IncompleteRead'; then \
			echo "make: the package registry is slow or cannot be reached (at $${missing:-$$working_on}): say make again, what was downloaded is kept; PIP_INDEX_URL names another registry, PIP_DEFAULT_TIMEOUT=300 waits longer" >&2; \
		elif [ -n "$$missing" ]; then \
			echo "make: the package registry has no $$missing for $$($(VENV)/bin/python --version): try another Python (PYTHON=python3.12 after make clean), or another registry (PIP_INDEX_URL)" >&2; \
		else \
			echo "make: pip failed at $$working_on: its own words are above and in $(LOG)" >&2; \
		fi; exit 2; }
	@touch $@
