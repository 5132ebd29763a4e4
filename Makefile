# SPDX-License-Identifier: GPL-2.0-only
# "make help" lists the targets. The kernel's own build reads Kbuild, never this.

KVER ?=
KVERS := $(if $(KVER),$(KVER),6.1 6.12 7.2)
TESTS ?=
LAYERS ?=
CACHE := $(or $(MICA_CACHE),/var/cache/mica)
SRC61 := $(CACHE)/linux-source-6.1
export MICA_CACHE := $(CACHE)

.PHONY: FORCE all module tool selftests setup lint check check-long check-debug demo
.PHONY: bench uapi-doc clean help

all: module tool

module:
	@scripts/build-module $(KVER)

tool_sources := $(sort $(wildcard tool/*.c))
tool_objects := $(tool_sources:tool/%.c=build/tool/%.o)
tool_libs := libnl-3.0 libnl-genl-3.0 smartcols libpci libarchive zlib
VERSION := $(or $(shell git describe --tags --always --dirty 2>/dev/null),0)
TOOL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -MMD -MP -Iuapi

tool: $(if $(tool_sources),build/tool/mica)

build/tool/mica: $(tool_objects)
	$(CC) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs $(tool_libs))

build/tool/%.o: tool/%.c | build/tool
	$(CC) $(TOOL_CFLAGS) $(CFLAGS) $$(pkg-config --cflags $(tool_libs)) -c -o $@ $<

# Changes, and has the tool built again, when the version does.
build/tool/version.h: FORCE | build/tool
	@echo '#define MICA_VERSION "$(VERSION)"' | cmp -s - $@ || \
		echo '#define MICA_VERSION "$(VERSION)"' >$@

build/tool/main.o: build/tool/version.h
build/tool/main.o: TOOL_CFLAGS += -include build/tool/version.h

build/tool:
	@mkdir -p $@

-include $(tool_objects:.o=.d)

setup:
	@scripts/setup $(if $(KVER),check $(KVER),all)

selftests:
	@$(MAKE) --no-print-directory -C selftests KERNEL_SOURCE=$(SRC61) TOP=$(CURDIR)

lint:
	@scripts/lint

check: setup
	@scripts/check $(KVERS) -- $(TESTS)

# Real programs with more data, writers for a minute, all commands for ten; merges
# killed 200 times, and guests a thousand.
check-long: setup
	@MICA_LONG=y MICA_TIMEOUT=$(or $(MICA_TIMEOUT),14400) \
		scripts/check $(KVERS) -- $(or $(TESTS),programs union/live_writers tool/merge guest/fuzz guest/sigkill)

check-debug:
	@scripts/setup debug check
	@scripts/debug-kernel
	@MICA_TIMEOUT=$(or $(MICA_TIMEOUT),14400) scripts/check debug -- $(TESTS)

demo:
	@scripts/setup demo
	@$(MAKE) --no-print-directory module tool KVER=6.1
	@selftests/demo/run

bench:
	@scripts/setup demo
	@$(MAKE) --no-print-directory module KVER=$(or $(KVER),6.1)
	@KVER=$(KVER) selftests/bench/run $(LAYERS)

uapi-doc:
	@mkdir -p build
	@scripts/uapi-doc >build/uapi.rst
	@mv build/uapi.rst Documentation/

clean:
	rm -rf build

help:
	@echo 'make                  build the module (running kernel, else newest headers) and the tool'
	@echo 'make KVER=RELEASE     for that kernel: a release, or 6.1, 6.12, 7.2, debug'
	@echo 'make demo             the main job in the test host, start to end'
	@echo 'make check            lint, build, all tests on 6.1, 6.12 and 7.2 in the test host'
	@echo 'make check KVER=6.1 TESTS="union guest/claim"    a part of it'
	@echo 'make check-long       real programs with more data; writers, merges, the fuzzer and kills for longer'
	@echo 'make check-debug      the tests under a kernel with KASAN and lockdep'
	@echo 'make bench            what operations cost, beside ext4 and overlayfs: Documentation/bench.rst'
	@echo 'make lint             checkpatch, kernel-doc, sparse, W=1, shellcheck'
	@echo 'make uapi-doc         print Documentation/uapi.rst anew, from the comments in uapi/'
	@echo 'make selftests        build the tests'
	@echo 'make setup            install what is needed (the other targets call it)'
	@echo 'make clean            remove build/'
