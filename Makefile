# Two commands for a fresh machine: make paper, make test. CONTRIBUTING.md explains the others.

.PHONY: all paper test test-arm64 lint bench fuzz clean
all: bin/runner

bin/runner: FORCE
	@go build -trimpath -o $@ ./cmd/runner
FORCE:

# Everything the paper shows, from examples/paper.hcl.
paper: bin/runner
	@scripts/fashion-mnist data/fashion-mnist
	bin/runner run examples/paper.hcl

# All tests, with what they need. It prints how long each package took; in CI none is taken from the cache.
test:
	@scripts/test-needs
	@scripts/fashion-mnist data/fashion-mnist
	go vet ./...
	go test -timeout 12m $(if $(CI),-count=1) ./...

# The part of them that an emulated arm64 runs: does it compute the same bits?
test-arm64:
	go test -count=1 -v -run '^Test(Arm64|NoFusedMultiplyAdd|FunctionsAreExact)$$' .

lint:
	golangci-lint run
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }

# For benchstat: make bench >old; …; make bench >new; benchstat old new
bench:
	go test -run '^$$' -bench . -count 6 ./...

# Each fuzz target for a while: make fuzz FOR=2m
FOR ?= 20s
fuzz:
	@for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
			echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FOR) $$p || exit 1; \
		done; \
	done

clean:
	rm -rf bin
