# incsh: `make help` lists the targets.
# == Settings you may change ==================================================
CC        ?= cc
OPT       ?= -O3
DEBUG     ?= 0
SAN       ?=
PREFIX    ?= /usr/local
# == Nothing below needs changing =============================================
B     := build$(if $(SAN),-san)$(if $(filter 1,$(DEBUG)),-debug)
WARN  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral
OPTF  := $(if $(filter 1,$(DEBUG)),-O0 -DINC_DEBUG,$(OPT) -fno-math-errno)
SANF  := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
CFLAGS += -std=gnu11 -g $(OPTF) $(WARN) $(SANF) -fPIC -fopenmp -fvisibility=hidden -MMD -MP
CPPFLAGS += -Icore -I. -D_GNU_SOURCE $(shell pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4)
LIBS  := -ldnnl -ljpeg -lpng -ljansson -lpthread -ldl -lm
LUALIBS := $(shell pkg-config --libs lua5.4 2>/dev/null || echo -llua5.4) -lreadline
obj    = $(patsubst %.c,$(B)/%.o,$(1))

CORE  := $(wildcard core/*.c core/base/*.c core/ops/*.c core/exec/*.c core/plan/*.c core/cpu/*.c core/data/*.c core/run/*.c)
KERN  := $(wildcard kernels/cpu/*.c)
BIND  := $(wildcard core/bind/*.c)
SHC   := $(wildcard core/shell/*.c)
LUASRC := $(wildcard lua/*.lua lua/inc/*.lua lua/inc/*/*.lua models/*.lua scripts/*.lua)
CTESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/c/test_*.c))

all: $(B)/incsh              ## build build/incsh

$(B)/incsh: $(call obj,$(CORE) $(KERN) $(BIND) $(SHC))
	$(CC) $(SANF) -fopenmp -rdynamic -o $@ $^ $(LIBS) $(LUALIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(KFLAGS) -c -o $@ $<

# SIMD kernels are compiled once for each instruction set they serve and chosen at run time by CPUID.
$(B)/kernels/cpu/%_avx2.o: KFLAGS = $(AVX2)
$(B)/kernels/cpu/%_avx512.o: KFLAGS = $(AVX512)
$(B)/kernels/cpu/%_avx512bf.o: KFLAGS = $(AVX512) -mavx512bf16
ifeq ($(shell uname -m),x86_64)
AVX2   := -mavx2 -mfma -mf16c
AVX512 := $(AVX2) -mavx512f -mavx512bw -mavx512vl -mavx512dq -mprefer-vector-width=512
endif

# An archive, so that a test links only what it uses.
$(B)/core.a: $(call obj,$(CORE) $(KERN))
	@rm -f $@
	@ar qcs $@ $^
$(B)/tests/c/test_%: tests/c/test_%.c $(B)/core.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Itests/c -o $@ $< $(B)/core.a $(LIBS)

$(B)/tests/c/fuzz: tests/c/fuzz.c $(B)/core.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Itests/c -o $@ $< $(B)/core.a $(LIBS)

$(B)/tests/c/make_pictures: tests/c/make_pictures.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Itests/c -o $@ $< -ljpeg -lpng
$(B)/tests/c/fake_terminal: tests/c/fake_terminal.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $<

$(B)/tests/c/typist: tests/c/typist.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $<

$(B)/bench/%: scripts/bench/%.c $(B)/core.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $< $(B)/core.a $(LIBS)

check: ctest spec             ## C tests and Lua specs, nothing installed first
ctests: $(CTESTS) $(B)/tests/c/make_pictures $(B)/tests/c/fake_terminal $(B)/tests/c/typist
ctest: ctests                ## C unit tests
	@scripts/lib/tally $(CTESTS)
spec: all $(B)/tests/c/make_pictures ## Lua specs (ONLY="word ..." selects)
	XDG_CACHE_HOME=$(CURDIR)/$(B)/cache $(B)/incsh tests/run.lua $(ONLY)
test:                        ## install what the tests need, build, run everything
	scripts/test
lint:                        ## format, luacheck, cppcheck, layers, sizes, docs
	scripts/lint/run
fmt:                         ## rewrite C sources in place
	clang-format -i $(CORE) $(KERN) $(BIND) $(SHC) $(wildcard core/*.h core/*/*.h kernels/cpu/*.h tests/c/*.[ch])
asan:                        ## C tests and Lua specs under address + undefined sanitizers (ONLY=--fast: quick ones)
	scripts/lib/sanitize "$(ONLY)"
tsan:                        ## C tests of the loader, of runs and of the queue of calls under the thread sanitizer
	scripts/lib/tsan
fuzz:                        ## changed files against every reader, random keys at the prompt, under sanitizers (SECONDS=30 each, SEED=1)
	scripts/lib/sanitize fuzz $(or $(SECONDS),30) $(SEED)
bench: all                   ## speed and memory of this machine, beside the peers of scripts/bench/peers
	scripts/bench/run
install: all                 ## copy to PREFIX (default /usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/incsh
	install -m 755 $(B)/incsh $(DESTDIR)$(PREFIX)/bin/incsh
	cp -R lua models scripts README.md LICENSE $(DESTDIR)$(PREFIX)/share/incsh/
clean:                       ## remove build output
	rm -rf build build-*
help:                        ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# Promised by the documentation; each says so until it exists.
cuda:                        ## (not built yet) the CUDA part
	@echo "not built yet: make cuda" >&2; exit 1
sim:                         ## (not built yet) the simulated CUDA platform
	@echo "not built yet: make sim" >&2; exit 1

.PHONY: all check ctests ctest spec test lint fmt asan bench install clean help tsan fuzz cuda sim
-include $(shell find $(B) -name '*.d' 2>/dev/null)
