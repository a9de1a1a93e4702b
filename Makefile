# Tikkun: every command and what it does.
CITY ?= demo_city
PORT ?= 3000
HOST ?= 127.0.0.1
SERVED = --host $(HOST) --port $(PORT) $(if $(VIEW),--view)
VENV := .venv
PY := $(VENV)/bin/python
export DO_NOT_TRACK := 1
# What is compiled once is kept, whatever the shell says: every command imports all there is.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help faults bill backup as-of trace setup forms run send decide rebuild pages papers serve demo-city studio why lottery compare formula new-city propose check policy history fetch test test-quick browser office lint format types ui bench validate spark-setup validate-spark lock clean
.DEFAULT_GOAL := help

help: ## what each command does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.ready: requirements.lock
	@echo "setting up $(VENV) from requirements.lock"
	@test -x $(PY) || python3 -m venv $(VENV)
	@test -x $(VENV)/bin/uv || $(PY) -m pip install --quiet --disable-pip-version-check uv
	@$(VENV)/bin/uv pip sync --quiet --compile-bytecode --python $(PY) --require-hashes requirements.lock
	@touch $@

setup: $(VENV)/.ready ## create .venv with the exact versions of requirements.lock

data_raw/demo_city/city.yaml: | $(VENV)/.ready
	@$(PY) -m pipelines.commands.demo_city --out data_raw/demo_city

demo-city: data_raw/demo_city/city.yaml ## generate the synthetic demonstration city, if it is not there

run: setup $(if $(filter demo_city,$(CITY)),data_raw/demo_city/city.yaml) ## run the whole chain and publish (CITY=demo_city, FORCE=1 to run though nothing changed, SCOPE=official to plan for official schools alone)
	@$(PY) -m pipelines.commands.run $(CITY) $(if $(FORCE),--force) $(if $(SCOPE),--scope $(SCOPE))

new-city: setup ## start a city from the files in data_raw/NAME/files, or take in what came since (NAME=, ANSWERS=file.yaml where nobody is there to ask)
	@$(PY) -m pipelines.commands.new_city "$(NAME)" $(if $(ANSWERS),--answers "$(ANSWERS)")

propose: setup ## draft a mapping for an unknown file (FILE=path, SOURCE=id if you know it)
	@$(PY) -m pipelines.commands.propose "$(FILE)" $(if $(SOURCE),--source $(SOURCE))

check: setup $(if $(filter demo_city,$(CITY)),data_raw/demo_city/city.yaml) ## how the files of CITY fare, without loading anything
	@$(PY) -m pipelines.commands.check $(CITY) $(if $(SOURCE),--source $(SOURCE))

policy: setup $(if $(filter demo_city,$(CITY)),data_raw/demo_city/city.yaml) ## the whole policy of CITY with its defaults, and the file and line of each decision
	@$(PY) -m pipelines.commands.policy $(CITY)

forms: setup $(if $(filter demo_city,$(CITY)),data_raw/demo_city/city.yaml) ## write the empty forms of what people of CITY fill in (cards, considerations, parents' forms, …), and the texts to translate, to its folder forms/
	@$(PY) -m pipelines.commands.forms $(CITY)

history: setup ## the versions of a source's files, or its rows on a day (CITY, SOURCE=id, DAY=2026-03-01)
	@$(PY) -m pipelines.commands.history $(CITY) $(SOURCE) $(if $(DAY),--as-of $(DAY))

fetch: setup ## download the open national files for CITY=ashkelon_public from the government's portal
	@$(PY) -m pipelines.commands.fetch --city-folder data_raw/$(if $(filter demo_city,$(CITY)),ashkelon_public,$(CITY))

send: setup ## send CITY's current release: to each recipient the version of the own audience, to the outbox and by e-mail where city.yaml says so (AGAIN=1 to those who have it too)
	@$(PY) -m pipelines.commands.send $(CITY) $(if $(AGAIN),--again)

pages: setup ## draw the pages of CITY's current release again, after a template has changed
	@$(PY) -m pipelines.commands.pages $(CITY)

papers: setup ## the papers of CITY's current release: policy document, packs of the three meetings (slides and pages), paper to cut, entry sheet, verify.html (to data_marts/CITY/papers)
	@$(PY) -m pipelines.commands.papers $(CITY)

ui: setup $(if $(filter demo_city,$(CITY)),data_raw/demo_city/city.yaml) ## the Dagster pages of CITY on http://127.0.0.1:$(PORT); nothing runs unless asked (VIEW=1: nothing can be started; HOST=address with TIKKUN_TOKEN: for others too)
	@$(PY) -m pipelines.commands.serve $(CITY) $(SERVED) --by-hand

serve: setup $(if $(filter demo_city,$(CITY)),data_raw/demo_city/city.yaml) ## the same, and run CITY every night
	@$(PY) -m pipelines.commands.serve $(CITY) $(SERVED)

studio: setup $(if $(filter demo_city,$(CITY)),data_raw/demo_city/city.yaml) ## move budget, preference and shares of CITY's published plan and see it solved again, on http://127.0.0.1:$(PORT) (VIEW=1: nothing is saved or decided)
	@$(PY) -m pipelines.commands.studio $(CITY) $(SERVED)

why: setup ## why a school of CITY has a response or not, and what would turn it (SCHOOL=code RESPONSE=id)
	@$(PY) -m pipelines.commands.why $(CITY) $(SCHOOL) $(RESPONSE)

decide: setup ## decide on the plan (SCENARIO=base) or a scenario of CITY's release: kept for good (ROLE=, REASON=, RELEASE=, DAY=2026-06-18, VOTES=9/2/1, REPLACES=version)
	@$(PY) -m pipelines.commands.decide $(CITY) $(if $(SCENARIO),--scenario $(SCENARIO)) --role "$(ROLE)" $(if $(RELEASE),--release $(RELEASE)) $(if $(DAY),--day $(DAY)) $(if $(VOTES),--votes $(VOTES)) $(if $(REPLACES),--replaces $(REPLACES))

rebuild: setup ## make again the release a decision was taken on and say whether it is the same (CITY, CYCLE=2027, VERSION=1)
	@$(PY) -m pipelines.commands.rebuild $(CITY) $(CYCLE) $(VERSION)

trace: setup ## what a published number comes from: tables, files with hashes, rows, checks, code (CITY, CELL='mart_need_index/semel_mosad=900001/need')
	@$(PY) -m pipelines.commands.trace $(CITY) '$(CELL)'

as-of: setup ## what was published on a day, told and drawn again (CITY, DAY=2026-06-18, OUT=folder to keep it)
	@$(PY) -m pipelines.commands.as_of $(CITY) $(DAY) $(if $(OUT),--out $(OUT))

lottery: setup ## draw the places of a response from a list of entrants, by the registered seed (RESPONSE=id LIST=file.csv PLACES=n BY=columns)
	@$(PY) -m pipelines.commands.lottery $(CITY) $(RESPONSE) "$(LIST)" --places $(PLACES) $(if $(BY),--by $(BY))

compare: setup ## what differs between two published releases, table by table (BEFORE= and AFTER=: a release's folder, a city, or city@release; EXPECTED=list.yaml, MOST=examples of a group)
	@$(PY) -m tests.comparer "$(BEFORE)" "$(AFTER)" $(if $(EXPECTED),--expected "$(EXPECTED)") $(if $(MOST),--most $(MOST))

formula: setup ## share money by a declared formula (FILE=declaration.yaml TABLE=rows.csv or .parquet, POT=nis where the pot is a channel, KEY=column)
	@$(PY) -m pipelines.commands.share_by_formula "$(FILE)" "$(TABLE)" $(if $(POT),--pot $(POT)) $(if $(KEY),--key $(KEY))

test: setup browser office ## the tests (minutes)
	@$(PY) -m pytest -m "not slow" --ignore=tests/benchmarks -n 2 --dist loadfile --no-loadscope-reorder

test-quick: setup ## the quickest tests: units, formulas, golden SQL, settings (under a minute)
	@$(PY) -m pytest -m "not slow" $(addprefix tests/,unit formula sql settings) -n 2 --dist loadfile

faults: setup browser ## every fault of tests/faults/catalogue.tsv is brought about, and what happened is printed (tens of minutes)
	@$(PY) -m tests.faults

bill: setup ## the bill of materials of requirements.lock (CycloneDX; OUT=bill.json)
	@$(PY) -m tests.supply.bill $(if $(OUT),--out "$(OUT)")

backup: setup ## copy what cannot be made again of CITY into OUT=backup.tar.gz, while no run writes it
	@CITY=$(CITY) OUT="$(OUT)" RAW=$${TIKKUN_DATA_RAW:-data_raw} MARTS=$${TIKKUN_DATA_MARTS:-data_marts} WORK=$${TIKKUN_WORK:-.work} sh docs/backup.sh

browser: # Debian's chromium and a Hebrew font for the browser tests; without them those tests are skipped, with the reason
	@sh tests/browser/setup.sh

office: # Debian's LibreOffice for the tests that open workbooks, slides and Word documents in it; without it those tests are skipped, with the reason
	@sh tests/office/setup.sh

lint: setup ## style, types, the direction of dependencies, licences
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(PY) -m tests.supply.bill --licences

format: setup ## put the code in its standard form
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

validate: setup ## the claims: statistics against planted truth and published answers, quick and slow; properties and simulations on all their cases
	@$(PY) -m pytest -m "slow or claim" --ignore=tests/benchmarks -rA
	@TIKKUN_ALL_EXAMPLES=yes $(PY) -m pytest -m "(hypothesis or sampled) and not slow" --ignore=tests/benchmarks

SPARK := .venv-spark

$(SPARK)/.ready: | $(VENV)/.ready
	@java -version 2>/dev/null || { echo "Spark needs Java 17: apt-get install openjdk-17-jre-headless"; exit 1; }
	@$(VENV)/bin/uv venv --quiet --allow-existing $(SPARK)
	@$(VENV)/bin/uv pip install --quiet --python $(SPARK)/bin/python pyspark==4.3.0
	@touch $@

spark-setup: setup $(SPARK)/.ready ## pyspark in an environment of its own (.venv-spark; Java 17 must be there)

validate-spark: spark-setup ## run every SQL table of CITY's warehouse on a local Spark too and compare row by row (TABLES="core_school …": these alone)
	@$(PY) -m tests.engines.compare $${TIKKUN_WORK:-.work}/$(CITY)/warehouse.duckdb $(TABLES)

bench: setup data_raw/demo_city/city.yaml ## the benchmarks, each beside an obvious alternative
	@$(PY) -m pipelines.commands.run demo_city
	@$(PY) -m pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median,rounds

lock: ## resolve requirements.lock anew from pyproject.toml
	@$(VENV)/bin/uv pip compile --quiet pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-annotate --no-header --output-file requirements.lock

clean: ## remove what was generated: environment, working warehouses, demonstration city
	rm -rf $(VENV) .work data_raw/demo_city
