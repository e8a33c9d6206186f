# `make help` lists what this file can do. A newcomer needs two commands: `make demo` and
# `make test`. Both set up what is missing: Go, git and make itself are all that must be there.
#
# Tests find their programs through the variables that internal/toolchain/toolchaintest documents;
# they are written to .tools/env.

GO ?= go
MAKEFLAGS += --no-print-directory --no-builtin-rules

# The same for every build, so that what one has compiled the next finds in Go's cache. Without
# cgo no C compiler is needed.
export CGO_ENABLED := 0

# The standard library is a part of the program: it has to be the one without known holes, which the
# Go that happens to be installed may not have. Where the better one cannot be had, govulncheck tells.
ifeq ($(MAKELEVEL),0)
toolchain := $(shell sed -n 's/^toolchain //p' go.mod)+auto
ifneq ($(shell GOTOOLCHAIN=$(toolchain) $(GO) version 2>/dev/null),)
export GOTOOLCHAIN := $(toolchain)
endif
endif

# What a developer's shell has set for AWS, Terraform and Tollgate must not reach a demonstration or
# a test: it may name another account, or a file that does not exist. Only the configuration that
# may name provider mirrors is passed on.
export USER_CLI_CONFIG ?= $(TF_CLI_CONFIG_FILE)
unexport $(filter AWS_% TF_% TOLLGATE_%,$(.VARIABLES))

stage := tools/stage
setup := .tools/bin/setup -cache .tools/cache -cli-config "$$USER_CLI_CONFIG" -home "$$HOME" -lock infrastructure/.terraform.lock.hcl
modules := $(patsubst infrastructure/modules/%/,%,$(wildcard infrastructure/modules/*/))
conftest := .tools/conftest/v0.71.1/conftest
fuzzed := github.FuzzParseCommand github.FuzzDecode project.FuzzParse gate.FuzzReadPlan hclsource.FuzzDescribe
sources := cmd infrastructure internal policies tools

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Using ---

.PHONY: demo
demo: go ## Run the whole product here, ready to click on (DEMO_FLAGS=--script plays its story)
	@test -x bin/bot || echo 'Compiling. The first time takes a minute on two cores, and downloads what the program is made of.'
	@$(MAKE) -j2 .tools/bin/setup modules
	@$(MAKE) -j2 demo-parts bin/bot
	@if [ -f "$$USER_CLI_CONFIG" ]; then export TF_CLI_CONFIG_FILE="$$USER_CLI_CONFIG"; fi; \
	exec bin/bot demo --tools-dir .tools/cache $(DEMO_FLAGS)

# What bin/bot is made of arrives while the first of it is compiled.
.PHONY: modules
modules:
	@$(stage) 'download modules' sh -c '$(GO) list -deps ./cmd/bot >/dev/null'

.PHONY: demo-parts
demo-parts:
	@$(stage) --show 'set up' $(setup) terraform providers moto git

.PHONY: build
build: go bin/bot ## Compile the program to bin/bot

# Go knows best what is out of date.
.PHONY: bin/bot
bin/bot:
	@$(stage) 'compile bin/bot' $(GO) build -ldflags='-s -w' -o bin/bot ./cmd/bot

# --- Testing ---

# The Go tests come last and alone: some measure time, and none may fail because a linter is busy.
# They go without vet, which is a stage of its own.
.PHONY: test
test: go ## Run every test and linter
	@echo 'Running everything. The first time takes some minutes more, to compile the tools; output is in .tools/log.'
	@rm -rf .tools/log; failed=0; \
	$(MAKE) test-setup || failed=1; \
	$(MAKE) -k -j2 checks || failed=1; \
	$(MAKE) test-go || failed=1; \
	tools/summary || failed=1; \
	exit $$failed

.PHONY: test-setup
test-setup: go .tools/bin/setup
	@$(stage) --show 'set up' $(setup) -env .tools/env terraform providers moto git chromium

.PHONY: test-go
test-go: go ## Run the Go tests only
	@$(stage) 'go test' $(GO) test -vet=off -timeout 25m ./...

.PHONY: checks
checks: tests-of-policies tests-of-infrastructure linters fuzz

.PHONY: tests-of-policies
tests-of-policies: opa-fmt opa-check opa-test

.PHONY: opa-fmt
opa-fmt: tools
	@$(stage) 'opa fmt' .tools/bin/opa fmt --fail --diff policies

.PHONY: opa-check
opa-check: tools
	@$(stage) 'opa check' .tools/bin/opa check --strict policies
	@$(stage) 'opa check: plans' .tools/bin/opa check --strict --schema policies/testdata/schema/plan.json policies/plan

# 96 percent with the tests' own lines, which all run, is 95 percent of the policies. Counting lines takes
# a multiple of the time; on a busy machine, five seconds a test, opa's own limit, are too few.
.PHONY: opa-test
opa-test: tools
	@$(stage) 'opa test' .tools/bin/opa test --fail-on-empty --timeout 60s policies
	@$(stage) 'opa test: coverage' sh -c '.tools/bin/opa test --threshold 96 --timeout 60s policies >/dev/null'

.PHONY: tests-of-infrastructure
tests-of-infrastructure: terraform-fmt terraform-root $(modules:%=terraform-module-%) tflint terraform-docs

.PHONY: terraform-fmt
terraform-fmt:
	@$(stage) 'terraform fmt' tools/terraform fmt -check -diff -recursive infrastructure

.PHONY: terraform-root
terraform-root:
	@$(stage) 'terraform test: root' tools/terraform-test infrastructure

.PHONY: $(modules:%=terraform-module-%)
$(modules:%=terraform-module-%): terraform-module-%:
	@$(stage) 'terraform test: $*' tools/terraform-test infrastructure/modules/$*

.PHONY: tflint
tflint: tools
	@$(stage) 'tflint' .tools/bin/tflint --chdir=infrastructure --recursive --config=$(CURDIR)/infrastructure/.tflint.hcl

.PHONY: terraform-docs
terraform-docs: tools
	@$(stage) 'terraform-docs' .tools/bin/terraform-docs --output-check -c infrastructure/.terraform-docs.yml infrastructure

.PHONY: linters
linters: gofmt scripts vet staticcheck vulnerabilities

.PHONY: gofmt
gofmt:
	@$(stage) 'gofmt' sh -c 'found=$$(gofmt -l $(sources)) && echo "$$found" && test -z "$$found"'

.PHONY: scripts
scripts: tools
	@$(stage) 'test the scripts' $(GO) test -C tools .

# One build after the other: two at once would compile the same packages twice.
.PHONY: compile
compile: tools
	@$(stage) 'compile' $(GO) build ./...

.PHONY: vet
vet: compile
	@$(stage) 'go vet' $(GO) vet ./...

.PHONY: staticcheck
staticcheck: compile
	@$(stage) 'staticcheck' .tools/bin/staticcheck ./...

.PHONY: vulnerabilities
vulnerabilities: compile
	@$(stage) 'govulncheck' tools/vulnerabilities

# What strangers write: commands, webhooks, configuration, plans and HCL. Each has a core to itself,
# because two of these stages run at once.
.PHONY: fuzz
fuzz: $(fuzzed:%=fuzz-%) ## Feed the readers of what strangers write with mutations (FUZZTIME=10m)

.PHONY: $(fuzzed:%=fuzz-%)
$(fuzzed:%=fuzz-%): fuzz-%: compile
	@$(stage) 'fuzz: $*' $(GO) test -vet=off -run '^$$' -parallel 1 -fuzz '^$(lastword $(subst ., ,$*))$$' -fuzztime $(or $(FUZZTIME),60s) ./internal/$(firstword $(subst ., ,$*))

# --- Keeping up to date ---

.PHONY: docs
docs: go tools ## Rewrite docs/policies and the generated parts of the Terraform modules' READMEs
	@$(stage) 'terraform-docs' .tools/bin/terraform-docs -c infrastructure/.terraform-docs.yml infrastructure
	@$(stage) 'pages of the rules' $(GO) test -count=1 ./policies -run TestDocs -update
	@$(stage) 'tests of the threats' $(GO) test -count=1 ./internal/archtest -run TestEveryThreat -update

.PHONY: fixtures
fixtures: go test-setup ## Rewrite the golden files of the tests; look at the difference before you commit it
	@$(stage) 'golden files' $(GO) test -count=1 ./internal/report -update
	@$(stage) 'taggable types' $(GO) test -count=1 ./policies -run TestSchema -update

# A command of its own, because a plan made again differs in its time and in what Terraform has changed.
.PHONY: plans
plans: go test-setup ## Plan the policies' fixtures again (FIXTURE=policies/testdata/tls/listeners)
	@$(stage) --show 'plans of the fixtures' policies/testdata/plan.sh $(FIXTURE)

.PHONY: schema
schema: go test-setup ## Hold the policies against the AWS provider's schema (PROVIDER=6.2.0 for another version)
	@$(stage) --show 'schema of the provider' $(GO) test -count=1 ./policies -run TestSchema -v $(if $(PROVIDER),-provider $(PROVIDER))

.PHONY: mutants
mutants: go ## List the conditions of policies that no fixture needs; takes some minutes
	@$(stage) --show 'mutants' $(GO) test -count=1 -timeout 60m ./policies -run TestMistakesAreNoticed -mutants -v

.PHONY: walks
walks: go ## Make WALKS=10000 random walks through the engine, against the model of what may be applied
	@$(GO) test ./internal/engine/enginetest -run '^TestWalks$$' -timeout 3h -args -walks $(or $(WALKS),10000) -walk.from $(or $(FROM),1)

# A kill needs an apply that is under way: each takes a while here, so that many fit in.
.PHONY: kills
kills: go test-setup ## Kill processes at KILLS=200 random moments of applies (SEED=1)
	@$(stage) --show 'kills' $(GO) test -count=1 -vet=off -timeout 3h ./internal/sandbox -run '^TestKills$$' -v -args -kills $(or $(KILLS),200) -kills-seed $(or $(SEED),1) -kills-projects 8 -kills-provider -kills-server 30 -kills-pause 15s

# The tests play some of each kind. All of it takes a quarter of an hour on two cores.
.PHONY: corpus
corpus: go test-setup ## Play the whole corpus of hostile pull requests: refused, contained, and without a sandbox
	@$(stage) --show 'corpus' $(GO) test -count=1 -vet=off -timeout 3h ./internal/sandbox -run 'HostileCorpus' -v -args -corpus

.PHONY: bench
bench: go test-setup $(conftest) ## Run the benchmarks
	@TOLLGATE_TEST_CONFTEST=$(CURDIR)/$(conftest) $(stage) --show 'benchmarks' $(GO) test -run '^$$' -bench . ./...

.PHONY: sweep
sweep: go ## Change every fact at every read of an apply (make test takes a sample)
	@$(GO) test -run FactsFlip ./internal/engine/enginetest -sweep

# A module of its own: in that of the other tools it would get libraries that it was not made with.
$(conftest):
	@GOBIN=$(CURDIR)/$(@D) $(stage) 'compile conftest' $(GO) install -ldflags='-s -w' github.com/open-policy-agent/conftest@$(notdir $(@D))

.PHONY: clean
clean: ## Remove everything that these commands have made
	rm -rf bin .tools

# --- Tools ---

.PHONY: .tools/bin/setup
.tools/bin/setup:
	@$(stage) 'compile setup' $(GO) build -o $@ ./internal/toolchain/setup

.PHONY: tools
tools: .tools/built

# One build for all: they share most of what they are made of. They are not a part of the program, so any
# Go that is new enough will do.
.tools/built: tools/go.mod tools/go.sum
	@$(stage) 'compile the tools' env GOTOOLCHAIN=auto $(GO) build -C tools -ldflags='-s -w' -o ../.tools/bin/ tool
	@touch $@

.PHONY: go
go:
	@tools/go-version '$(GO)'
