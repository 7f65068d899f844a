# Each target makes its own virtual environment in .venv and installs what it needs, once.
#
#   make demo      derive, prove, emit and train a network on images of digits
#   make demo-all  train every model that ships on its data, a line and a picture each
#   make test      every test that needs no other framework
#   make fuzz      prove N=20000 random networks, print the smallest one that fails
#   make check     style, types, import contracts, freshness of generated/
#   make oracle    the comparisons with PyTorch and JAX
#   make kernels   NVIDIA's compiler on every CUDA kernel; needs no GPU
#   make sanitize  the CUDA kernels on the CPU, every access watched
#   make gpu       the tests and measurements that need an NVIDIA GPU
#   make bench     the measurements, beside PyTorch, JAX and scikit-learn
#   make evidence  what the checker refutes and lets pass, beside other checkers

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO := runs/digits_mlp

.PHONY: demo demo-all test fuzz check oracle kernels sanitize gpu bench evidence clean

demo: $(VENV)/.run
	$(BIN)/bpgen derive digits_mlp
	$(BIN)/bpgen check digits_mlp
	$(BIN)/bpgen train digits_mlp --data digits --epochs 40 --batch 32 -o $(DEMO)

demo-all: $(VENV)/.run
	$(BIN)/bpgen train --all

test: $(VENV)/.dev
	$(BIN)/pytest -m "not oracle and not gpu" -n auto

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bpgen emit --all --check

fuzz: $(VENV)/.dev
	$(BIN)/pytest tests/fuzz --networks $(or $(N),20000) -n auto

oracle: $(VENV)/.oracle
	$(BIN)/pytest -m oracle -n auto

kernels: $(VENV)/.cuda
	$(BIN)/pytest tests/device/test_nvrtc.py -n auto
	$(BIN)/python benchmarks/kernels.py -o benchmarks/results/kernels.md
	$(BIN)/python benchmarks/device_memory.py -o benchmarks/results/device_memory.md

sanitize: $(VENV)/.dev
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 \
	  $(BIN)/pytest tests/device/test_zoo.py tests/device/test_noise.py -k float64 --sanitize -n auto

gpu: $(VENV)/.gpu
	$(BIN)/pytest -m gpu -rs -n 4
	$(BIN)/python -m benchmarks.gpu -o benchmarks/results/gpu.md

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.steps
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.batches
	$(BIN)/python -m benchmarks.k_of_n -o benchmarks/results/k_of_n.md

evidence: $(VENV)/.oracle
	$(BIN)/python -m benchmarks.verification -o benchmarks/results/verification.md

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.oracle: $(VENV)/.dev
	$(PIP) --editable '.[dev,oracle]'
	@touch $@

$(VENV)/.bench: $(VENV)/.run
	$(PIP) --editable '.[bench]'
	@touch $@

$(VENV)/.cuda: $(VENV)/.dev
	$(PIP) --editable '.[dev,cuda]'
	@touch $@

$(VENV)/.gpu: $(VENV)/.cuda
	$(PIP) --editable '.[dev,gpu]' torch 'jax[cuda13]'
	@touch $@

clean:
	rm -rf $(VENV) runs .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
