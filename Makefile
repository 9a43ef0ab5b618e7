# Every command goes through `.venv/bin/python -m …`: scripts with the interpreter's path in their first line break
# when the checkout's path is long or holds a space.

VENV_PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
ARGS ?=
export TRACE OUT ONLY

.PHONY: help run test demo bench soak lint clean
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

help:
	@echo "make run                        the exchange with a small live market on http://127.0.0.1:8000 (PORT=…)"
	@echo "make test [ARGS=…]              all tests; ARGS goes to pytest"
	@echo "make demo [TRACE=…] [OUT=…]     one whole trading day, ending in a table and OUT/report.json"
	@echo "make bench [ONLY=…] [OUT=…]     speed beside its baselines, of all parts or one (ledger), in a table and OUT/bench.json"
	@echo "make soak [ARGS=…] [OUT=…]      kills at random for minutes, ten million commands, usage up to 100 million; figures in a table and OUT/soak.json"
	@echo "make lint                       ruff, mypy and the import contracts"
	@echo "make clean                      removes what the others made, except the database of make run"

run: $(INSTALLED)
	@$(VENV_PYTHON) -m config.run

test: $(INSTALLED)
	@$(VENV_PYTHON) -m pytest -n auto --dist loadgroup $(ARGS)

demo: $(INSTALLED)
	@$(VENV_PYTHON) -m config.demo $${TRACE:+--trace "$$TRACE"} $${OUT:+--out "$$OUT"} $(ARGS)

bench: $(INSTALLED)
	@$(VENV_PYTHON) -m tests.bench $${ONLY:+--only "$$ONLY"} $${OUT:+--out "$$OUT"} $(ARGS)

soak: $(INSTALLED)
	@$(VENV_PYTHON) -m tests.soak $${OUT:+--out "$$OUT"} $(ARGS)

lint: $(INSTALLED)
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy .
	@$(VENV_PYTHON) -c 'import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())'

clean:
	@if [ -e $(INSTALLED) ]; then \
		for cluster in test demo bench; do $(VENV_PYTHON) -m config.postgres remove $$cluster || exit 1; done; \
		$(VENV_PYTHON) -m config.postgres stop run; \
		echo "The database of make run is kept; \`.venv/bin/python -m config.postgres remove run\` deletes it."; \
	fi
	@rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): $(VENV_PYTHON) requirements.lock pyproject.toml
	@echo "Installing the packages of requirements.lock into .venv …"
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements.lock
	@touch $@

# A link to an interpreter that is gone counts as missing, so a Python upgrade makes the environment anew.
$(VENV_PYTHON):
	@found=; ready=; \
	for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found=$${found:-$$python}; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null && ready=$$python && break; \
	done; \
	if [ -z "$$found" ]; then \
		echo "No Python 3.11 or newer was found (tried $(or $(PYTHON),python3.13 python3.12 python3.11 python3))." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
	elif [ -z "$$ready" ]; then \
		version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$found cannot make a virtual environment: its ensurepip module is missing." >&2; \
		echo "On Debian and Ubuntu: apt install python3-venv (or python$$version-venv)" >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$ready" --version) …"; \
	"$$ready" -m venv --clear .venv
