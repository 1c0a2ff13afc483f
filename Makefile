# Two commands on a fresh machine: `make demo` and `make test`. Both make .venv and install what they need into it.

PYTHON ?= python3
# torch by itself and first: its default build brings gigabytes of CUDA where only a CPU is. To take another build,
# name it: make TORCH=...
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow test-suites suites lint gl browser bench clean

demo: $(INSTALLED)-demo gl
	$(BIN)/groot-bench eval --suite robosuite --task Lift --task Door --policy expert --episodes 5 \
	    --video first:1
	@echo "The run lies in the folder named above; its first episodes are filmed in its folder videos/."
	test -d results/tiny-n17 || $(BIN)/groot-bench ckpt tiny --family n17 --suite robosuite --task Lift results/tiny-n17
	$(BIN)/groot-bench eval --suite robosuite --task Lift --ckpt results/tiny-n17 --episodes 2 --max-steps 80
	@echo "That was a GR00T N1.7 of half a million random weights, loaded like a released one; it cannot lift anything."

# Processes that tests run in, each of up to 2 GB; a file's tests stay together, since they share what is slow to make.
TESTERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(TESTERS) --dist loadfile

test: $(INSTALLED)-test gl browser suites
	$(PYTEST)

# What `make test` leaves out because it takes long.
test-slow: $(INSTALLED)-test gl suites
	$(PYTEST) -m slow

# All of LIBERO, every task and every law, and what `doctor --deep` has to find: about half an hour; LIBERO-plus and
# LIBERO-PRO, too, where they are set up in GROOT_BENCH_TEST_CACHE or have an interpreter of their own.
test-suites: $(INSTALLED)-test gl suites
	$(PYTEST) --dist worksteal -m 'slow or not slow' tests/test_libero.py tests/test_libero_all.py tests/test_deep.py \
	    tests/test_libero_plus_simulator.py tests/test_libero_pro_simulator.py

# LIBERO in an environment of its own, beside this one, with the small kit of assets where that is at hand. Tests that
# need it skip, and say so, where it is not.
SHARED ?= ../shared
suites: $(INSTALLED)-test gl
	@if [ -f '$(SHARED)/libero/tiny.tar.xz' ]; then \
	    GROOT_BENCH_CACHE='$(CURDIR)/$(VENV)/suites' $(BIN)/groot-bench setup libero \
	        --assets '$(SHARED)/libero/tiny.tar.xz' >/dev/null || echo "LIBERO could not be set up; its tests skip" >&2; \
	fi

lint: $(INSTALLED)-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(INSTALLED)-test gl
	$(BIN)/python benchmarks/run.py

# One stamp for each set of extras: made again when pyproject.toml changes, so that both targets are idempotent.
# robosuite goes in without its own requirements: it pins numpy<2 and takes a mujoco with which it does not run. Of
# gym-aloha only the model of its robot is read.
$(INSTALLED)-demo: pyproject.toml | $(VENV)
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --editable '.[robosuite,video,groot]'
	$(BIN)/python -m pip install --quiet --no-deps robosuite==1.5.2
	@touch $@

$(INSTALLED)-test: pyproject.toml | $(VENV)
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --editable '.[robosuite,video,steps,gymnasium,groot,analysis,retarget,test]'
	$(BIN)/python -m pip install --quiet --no-deps robosuite==1.5.2 gym-aloha==0.1.5
	@touch $@

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
	    || { echo "groot-bench needs Python 3.10 to 3.12; name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	    rm -rf $(VENV); echo "this Python has no ensurepip; its pip makes the environment instead"; \
	    $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; \
	} || { rm -rf $(VENV); echo "no environment could be made; on Debian and Ubuntu: apt-get install -y python3-venv" >&2; exit 1; }

# The OpenGL library that frames are rendered with; a system package, so only root can install it.
gl: | $(VENV)
	@$(BIN)/python -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("EGL") is None)' && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing libegl1 and libgl1-mesa-dri, which rendering needs"; \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends libegl1 libgl1-mesa-dri >/dev/null; \
	else \
	    echo "libEGL is missing, and only root can install it. Run:" >&2; \
	    echo "    sudo apt-get install -y libegl1 libgl1-mesa-dri" >&2; exit 1; \
	fi

# The browser that the tests of `report` and `view` look at their pages with. Without it those tests skip, and say so.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0; \
	install="apt-get install -y --no-install-recommends chromium chromium-driver"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing chromium and chromium-driver, which tests of the report page need"; \
	    apt-get update -qq && $$install -qq >/dev/null && exit 0; \
	fi; \
	echo "no chromium here: the tests of the report page will skip. To run them: sudo $$install" >&2

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
