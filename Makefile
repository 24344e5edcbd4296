# make app    open the app on 127.0.0.1:8501      make lint   style and types
# make test   every check and every test          make bench  the speed table
# make clean  remove what the others have made
# The first call makes .venv; needed are Python 3.11 to 3.13 with venv, and make.

PORT ?= 8501
TESTERS ?= 2
VENV := .venv
IN := $(VENV)/bin/python -m
INSTALL := $(IN) pip --disable-pip-version-check install --quiet --editable
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable

# Prints the first Python that runs, is new enough and not too new, and can make environments.
define FIND_PYTHON
for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
  "$$python" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
    2>/dev/null && echo "$$python" && exit; \
done; \
echo "Python 3.11 to 3.13 with venv is needed (Debian: apt-get install python3-venv)." >&2; exit 1
endef

.PHONY: app test lint bench browser clean
.DELETE_ON_ERROR:

app: $(VENV)/installed
	$(IN) streamlit run app.py --server.port $(PORT)

test: $(VENV)/installed-test
	@status=0; for part in lint browser; do \
	  $(MAKE) --no-print-directory $$part || status=1; \
	done; $(IN) pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder || status=1; exit $$status

lint: $(VENV)/installed-test
	@set -x; status=0; \
	$(IN) ruff check || status=1; \
	$(IN) ruff format --check || status=1; \
	$(IN) mypy || status=1; exit $$status

bench: $(VENV)/installed
	$(VENV)/bin/explorer bench

# The system's Chromium where there is one or can be one, else the browser that Playwright brings.
browser: $(VENV)/installed-test
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium, once"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else $(IN) playwright install chromium; fi

$(VENV)/installed-test: $(VENV)/installed
	$(INSTALL) '.[test]'
	@touch $@

$(VENV)/installed: pyproject.toml
	@$(VENV)/bin/python -c '' 2>/dev/null || { \
	  python=$$($(FIND_PYTHON)) && rm -rf $(VENV) && "$$python" -m venv $(VENV); }
	@echo "Installing into $(VENV); PyTorch is large, so the first time takes some minutes"
	$(INSTALL) .
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find explorer pages tests -name __pycache__ -prune -exec rm -rf {} +
