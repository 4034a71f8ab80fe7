# lstm.h: build, tests and checks. GNU make. `make help` lists what there is.
#
# Everything is made in $(BUILD), except the host program ./lstm. Nothing is looked for when this file is read: Lua and
# cmocka are looked for when a recipe that needs them begins, so that `make setup test` works on a bare machine.

BUILD   ?= build
CC      ?= cc
OPT     ?= -O2
EXTRA   ?=
PREFIX  ?= /usr/local
TIME    ?= 60
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)

ifeq ($(origin CC),default)
CC := cc
endif

# make V=1 shows the commands.
Q       := $(if $(V),,@)

# The warnings that lstm.h promises to be free of (make check: with gcc, clang, g++ and clang++).
WARN    := -Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wcast-qual -Wcast-align -Wundef \
           -Wdouble-promotion
CFLAGS  ?= -std=c99 $(OPT) $(WARN)
DEPS     = -MMD -MP
# Tests are compiled in half the time at -O1; the bits do not depend on it, as make isa-matrix shows.
TEST_OPT ?= -O1

# DEBUG=1, or a -g among the flags, keeps what a debugger and valgrind need to show where they are. Without it lstm.h
# has no unwind tables (21 KB), and ./lstm and the module have no symbols (43 KB): ./lstm is to stay under 1 MB. The
# binding keeps its tables: in LuaJIT, or a Lua compiled as C++, errors are exceptions that pass through its frames,
# never through those of lstm.h.
DEBUG   ?=
KEEP    := $(DEBUG)$(filter -g%,$(OPT) $(EXTRA) $(CFLAGS) $(CPPFLAGS))
UNWIND  := $(if $(KEEP),,-fno-asynchronous-unwind-tables -fno-unwind-tables)
STRIP    = $(if $(KEEP),,$(if $(filter Darwin,$(UNAME)),-Wl$(comma)-x,-Wl$(comma)-s))
comma   := ,

# ./lstm belongs to the ordinary build; a build elsewhere (sanitizers) keeps its own.
LSTM    := $(if $(filter build,$(BUILD)),./lstm,$(BUILD)/lstm)
MODULE  := $(BUILD)/lstm.so

# Homebrew keeps Lua 5.4 out of the way of its newest Lua.
BREW_LUA := opt/lua@5.4/lib/pkgconfig
export PKG_CONFIG_PATH := $(PKG_CONFIG_PATH):/opt/homebrew/$(BREW_LUA):/usr/local/$(BREW_LUA)
export WARN

# Lua 5.4 goes by several names in pkg-config. Each variable below is worked out once, at its first use in a recipe.
LUA_PC      = $(eval LUA_PC := $$(shell $$(find_lua)))$(LUA_PC)
LUA_CFLAGS  = $(eval LUA_CFLAGS := $$(shell pkg-config --cflags $$(LUA_PC) 2>/dev/null))$(LUA_CFLAGS)
LUA_LIBS    = $(eval LUA_LIBS := $$(shell pkg-config --libs $$(LUA_PC) 2>/dev/null))$(LUA_LIBS)
# Line editing at the prompt, where libedit is installed.
EDIT_CFLAGS = $(eval EDIT_CFLAGS := \
                $$(shell pkg-config --cflags libedit 2>/dev/null && echo -DLSTM_LIBEDIT))$(EDIT_CFLAGS)
EDIT_LIBS   = $(eval EDIT_LIBS := $$(shell pkg-config --libs libedit 2>/dev/null))$(EDIT_LIBS)
CMOCKA_CFLAGS = $(eval CMOCKA_CFLAGS := $$(shell pkg-config --cflags cmocka 2>/dev/null))$(CMOCKA_CFLAGS)
CMOCKA_LIBS = $(eval CMOCKA_LIBS := $$(shell pkg-config --libs cmocka 2>/dev/null || echo -lcmocka))$(CMOCKA_LIBS)
find_lua    = for p in lua5.4 lua-5.4 lua54 lua; do \
                case $$(pkg-config --modversion $$p 2>/dev/null) in 5.4*) echo $$p; break;; esac; done

# The module can be made for other Luas, too: make module LUA=5.1 (or 5.2, 5.3, luajit); the host is always Lua 5.4.
LUAS        := 5.1 5.2 5.3 5.4 luajit
ifneq ($(origin LUA),command line)
LUA         := 5.4
endif
ANY_NAME    := $(if $(filter luajit,$(LUA)),luajit,lua$(LUA))
ANY_PC      = $(eval ANY_PC := $$(shell $$(find_any)))$(ANY_PC)
ANY_CFLAGS  = $(eval ANY_CFLAGS := $$(shell pkg-config --cflags $$(ANY_PC) 2>/dev/null))$(ANY_CFLAGS)
find_any    = for p in $(ANY_NAME) $(if $(filter 5.%,$(LUA)),lua-$(LUA) lua$(subst .,,$(LUA)) lua); do \
                case $$(pkg-config --modversion $$p 2>/dev/null) in \
                  $(if $(filter 5.%,$(LUA)),$(LUA)*,?*)) echo $$p; break;; esac; done

UNAME := $(shell uname -s)
ifeq ($(UNAME),Darwin)
MODULE_LINK := -bundle -undefined dynamic_lookup
HOST_LINK   :=
else
MODULE_LINK := -shared
HOST_LINK   := -Wl,-E
endif

# --- sources --------------------------------------------------------------------------------------------------------

HOST_C    := $(filter-out host/embed.c,$(wildcard host/*.c))
# What the binary carries inside: modules, the files of pages, subcommands, and the text of help(). It unpacks them in
# this order, as far as it must: first what every script needs.
CORE_LUA  := $(patsubst %,host/lua/%.lua,init options methods seeds layers meta training split sets classes windows \
                                         sequences pipeline model args program sniff vocab csv)
HOST_LUA  := $(wildcard $(CORE_LUA)) $(filter-out $(CORE_LUA),$(wildcard host/lua/*.lua)) host/report/report.css \
             host/report/report.js $(filter-out %/demo.lua,$(wildcard scripts/*.lua)) host/lstm.d.lua
HOST_O    := $(HOST_C:host/%.c=$(BUILD)/host/%.o) $(BUILD)/host/embedded.o
LIBRARY   := $(BUILD)/host/lstm_impl.o
MODULE_O  := $(filter-out $(BUILD)/host/main.o $(BUILD)/host/repl.o,$(HOST_O))
# The module of another Lua has a folder of its own, and shares what has nothing to do with Lua.
ANY_DIR   := $(BUILD)/$(ANY_NAME)
ANY_O     := $(patsubst $(BUILD)/host/%,$(ANY_DIR)/%,$(filter-out $(LIBRARY),$(MODULE_O)))
ANY       := $(if $(filter 5.4,$(LUA)),$(MODULE),$(ANY_DIR)/lstm.so)

TEST_DIRS := unit kernels gradcheck golden isa learn io fault threads
EMBEDS    := $(BUILD)/tests/sandbox_embed
# Several seeds of known recipes on data that is not part of the project: a minute more, so not in make test.
LEARN_C   := tests/learn/tagging.c tests/learn/timing.c tests/learn/vowels.c
TEST_C    := $(filter-out $(LEARN_C),$(foreach d,$(TEST_DIRS),$(wildcard tests/$(d)/*.c)))
FUZZ_C    := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
TEST_SH   := $(foreach d,$(TEST_DIRS) lua compile install sandbox,$(wildcard tests/$(d)/test_*.sh))
TEST_LUA  := $(wildcard tests/lua/*.lua)

name       = $(subst /,_,$(basename $(1:tests/%=%)))
binary     = $(BUILD)/tests/$(call name,$(1))
RESULTS    = $(foreach t,$(1),$(BUILD)/results/$(call name,$(t)).txt)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
FORCE:
.PHONY: FORCE all setup setup-dev demo test learn baselines check sanitize tsan valgrind fuzz cross golden bench \
        bench-denormals report-test small examples module need-any test-lua lua-matrix \
        vs-torch vs-onednn isa-matrix ulp install uninstall clean help need-lua need-cmocka need-luaunit test-run

# `make setup test` in one call: nothing is looked for or built before setup has ended, also with -j.
ifneq ($(filter setup setup-dev,$(MAKECMDGOALS)),)
AFTER_SETUP := $(filter setup setup-dev,$(MAKECMDGOALS))
need-lua need-cmocka need-luaunit: | $(AFTER_SETUP)
endif

help: ## list what this Makefile can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

all: $(LSTM) $(MODULE) ## build ./lstm (the host) and build/lstm.so (the Lua module)

module: $(ANY) ## build the Lua module for LUA=5.1, 5.2, 5.3, 5.4 or luajit: build/lua5.1/lstm.so (5.4: build/lstm.so)

setup: ## install what building and testing need (Lua 5.4, cmocka, luaunit), if it is missing
	@sh scripts/setup.sh

setup-dev: ## install what `make check` and its kin need, if it is missing
	@sh scripts/setup.sh --dev

demo: $(LSTM) ## train a text model and forecast temperatures (SHORT=1: a few seconds)
	@mkdir -p $(BUILD)/demo
	@$(LSTM) scripts/demo.lua $(if $(SHORT),--short)

# --- what must be there ---------------------------------------------------------------------------------------------

need-lua:
	@test -n "$(LUA_LIBS)" || { echo "The headers of Lua 5.4 were not found. To install them: make setup" >&2; exit 1; }

need-any:
	@case " $(LUAS) " in *" $(LUA) "*) ;; *) echo "LUA=$(LUA): there are $(LUAS)" >&2; exit 1;; esac
	@test -n "$(ANY_PC)" || { echo "The headers of $(ANY_NAME) were not found by pkg-config. Debian's package:" \
	  "lib$(ANY_NAME:luajit=luajit-5.1)-dev; for all: make setup-dev" >&2; exit 1; }

need-cmocka:
	@printf '#include <%s>\n' stdarg.h stddef.h stdint.h setjmp.h cmocka.h | \
	  $(CC) $(CMOCKA_CFLAGS) -fsyntax-only -x c - 2>/dev/null || \
	  { echo "The test library cmocka was not found. To install it: make setup" >&2; exit 1; }

need-luaunit: $(LSTM)
	@$(LSTM) -e 'require "luaunit"' 2>/dev/null || \
	  { echo "The test library luaunit was not found for Lua 5.4. To install it: make setup" >&2; exit 1; }

# --- the host -------------------------------------------------------------------------------------------------------

$(LSTM): $(HOST_O)
	@echo "  link $@"
	$(Q)$(CC) $(EXTRA) $(LDFLAGS) $(STRIP) $(HOST_LINK) -o $@ $(HOST_O) $(LUA_LIBS) $(EDIT_LIBS) -lpthread -lm

$(BUILD)/host/repl.o: CPPFLAGS += $(EDIT_CFLAGS)

$(MODULE): $(MODULE_O)
	@echo "  link $@"
	$(Q)$(CC) $(EXTRA) $(LDFLAGS) $(STRIP) $(MODULE_LINK) -o $@ $(MODULE_O) -lpthread -lm

# lstm.h itself, which takes as long as everything else: one object for the host, the module and most of the tests.
$(LIBRARY): host/lstm_impl.c Makefile | $(AFTER_SETUP)
	@mkdir -p $(@D)
	@echo "  cc   $<"
	$(Q)$(CC) $(CFLAGS) $(UNWIND) $(EXTRA) $(DEPS) -fPIC -fvisibility=hidden -I. $(CPPFLAGS) -c -o $@ $<

# The headers of another Lua, as luarocks gives them, make other objects.
$(BUILD)/lua-flags: FORCE | need-lua
	@mkdir -p $(@D)
	@echo '$(LUA_CFLAGS)' | cmp -s - $@ || echo '$(LUA_CFLAGS)' >$@

$(BUILD)/host/%.o: host/%.c Makefile $(BUILD)/lua-flags | need-lua
	@mkdir -p $(@D)
	@echo "  cc   $<"
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(DEPS) -fPIC -fvisibility=hidden -I. -Ihost $(LUA_CFLAGS) $(CPPFLAGS) -c -o $@ $<

# The Lua part of the host, as C: made by a little program of ours.
$(BUILD)/embed: host/embed.c Makefile | $(AFTER_SETUP)
	@mkdir -p $(@D)
	@echo "  cc   $<"
	$(Q)$(CC) $(CFLAGS) $(DEPS) -o $@ $<

$(BUILD)/embedded.c: $(BUILD)/embed $(HOST_LUA)
	$(Q)$(BUILD)/embed $(HOST_LUA) > $@

$(BUILD)/host/embedded.o: $(BUILD)/embedded.c | need-lua
	@mkdir -p $(@D)
	@echo "  cc   $<"
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(DEPS) -fPIC -fvisibility=hidden -I. -Ihost $(LUA_CFLAGS) $(CPPFLAGS) -c -o $@ $<

ifneq ($(LUA),5.4)
$(ANY): $(ANY_O) $(LIBRARY)
	@echo "  link $@"
	$(Q)$(CC) $(EXTRA) $(LDFLAGS) $(STRIP) $(MODULE_LINK) -o $@ $^ -lpthread -lm

$(ANY_DIR)/%.o: host/%.c Makefile | need-any
	@mkdir -p $(@D)
	@echo "  cc   $< ($(ANY_NAME))"
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(DEPS) -fPIC -fvisibility=hidden -I. -Ihost $(ANY_CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(ANY_DIR)/embedded.o: $(BUILD)/embedded.c | need-any
	@mkdir -p $(@D)
	@echo "  cc   $< ($(ANY_NAME))"
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(DEPS) -fPIC -fvisibility=hidden -I. -Ihost $(ANY_CFLAGS) $(CPPFLAGS) -c -o $@ $<
endif

# --- tests ----------------------------------------------------------------------------------------------------------
# One program per file; -lm is for the tests' own references, never for lstm.h. A run writes
# $(BUILD)/results/NAME.txt, whatever happens; the summary reads them all.

# A test that defines LSTM_IMPLEMENTATION, because it looks at internals or sets a macro, has an implementation of its
# own; where its kernels are not what is tested, without those that take longest to compile. The others are linked with
# the host's.
OWN      := $(shell grep -l '^.define LSTM_IMPLEMENTATION' tests/*/*.c)
own_flags = $(if $(filter tests/unit/% tests/fault/%,$(1)),-DLSTM_NO_PORTABLE) \
            $(if $(filter tests/unit/% tests/fault/% tests/io/%,$(1)),-DLSTM_NO_AVX512)

define program # source, binary, flags, further sources and objects
$(2): $(1) $(4) Makefile | need-cmocka
	@mkdir -p $$(@D)
	@echo "  cc   $(1)"
	$$(Q)$$(CC) $$(CFLAGS) $$(TEST_OPT) $$(EXTRA) $$(DEPS) $(3) -I. -Itests $$(CMOCKA_CFLAGS) $$(CPPFLAGS) \
	  -o $$@ $(1) $(4) $$(LDFLAGS) $$(CMOCKA_LIBS) -lpthread -lm
endef
$(foreach t,$(filter $(OWN),$(TEST_C) $(LEARN_C)),\
  $(eval $(call program,$(t),$(call binary,$(t)),$(call own_flags,$(t)))))
$(foreach t,$(filter-out $(OWN),$(TEST_C) $(LEARN_C)),$(eval $(call program,$(t),$(call binary,$(t)),,$(LIBRARY))))
$(foreach t,$(FUZZ_C),$(eval $(call program,$(t),$(call binary,$(t)),,tests/fuzz/replay.c $(LIBRARY))))

define run # source, what it needs, command
$(BUILD)/results/$(call name,$(1)).txt: FORCE $(2)
	@mkdir -p $$(@D)
	@LSTM=$(LSTM) BUILD=$(BUILD) CC="$$(CC)" sh tests/run.sh $(call name,$(1)) $$@ $(3)
endef
$(foreach t,$(TEST_C) $(LEARN_C),$(eval $(call run,$(t),$(call binary,$(t)),$(call binary,$(t)))))
$(foreach t,$(FUZZ_C),$(eval $(call run,$(t),$(call binary,$(t)),\
  $(call binary,$(t)) tests/fuzz/corpus/$(basename $(notdir $(t))))))
$(foreach t,$(TEST_SH),$(eval $(call run,$(t),$(LSTM) $(MODULE),sh $(t))))
$(foreach t,$(TEST_LUA),$(eval $(call run,$(t),need-luaunit $(MODULE),$$(WRAP) $(LSTM) $(t) -v)))

# A program that embeds the binding, for what scripts do to it.
$(EMBEDS): tests/sandbox/embed.c $(MODULE_O)
	@mkdir -p $(@D)
	@echo "  cc   $<"
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(DEPS) -I. -Ihost $(LUA_CFLAGS) $(CPPFLAGS) -o $@ $< $(MODULE_O) $(LDFLAGS) \
	  $(LUA_LIBS) -lpthread -lm
$(BUILD)/results/sandbox_test_sandbox.txt: $(EMBEDS)

.PHONY: sandbox-test
sandbox-test: $(LSTM) $(EMBEDS) ## scripts that attack the sandbox: what stopped each, and after how long
	@LSTM=$(LSTM) BUILD=$(BUILD) sh tests/sandbox/test_sandbox.sh

ONLY ?= $(TEST_C) $(FUZZ_C) $(TEST_SH) $(TEST_LUA)
test-run: $(call RESULTS,$(ONLY))

test: $(AFTER_SETUP) ## run every test that needs no Python, node or emulator (ONLY="tests/unit/x.c ...": just these)
	@rm -rf $(BUILD)/results
	@$(MAKE) --no-print-directory -k $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS)) test-run || true
	@sh tests/summary.sh $(BUILD)/results $(foreach t,$(ONLY),$(call name,$(t)))

test-lua: $(ANY) ## the Lua tests in the interpreter LUA=5.1, 5.2, 5.3, 5.4 or luajit, with the module made for it
	@MAKE="$(MAKE)" BUILD=$(BUILD) FILES="$(filter tests/lua/%.lua,$(ONLY))" sh tests/lua/matrix.sh -v $(LUA)

lua-matrix: $(MODULE) ## the Lua tests in every interpreter that is installed: a table
	@MAKE="$(MAKE)" BUILD=$(BUILD) FILES="$(filter tests/lua/%.lua,$(ONLY))" sh tests/lua/matrix.sh $(LUAS)

learn: ## every learning task, also those that make test leaves out; prints what each reached
	@$(MAKE) --no-print-directory test ONLY="$(wildcard tests/learn/*.c)"; status=$$?; \
	  grep -hE '^[a-zA-Z].*: ' $(BUILD)/results/learn_*.txt | grep -v '^skipped: '; exit $$status

baselines: $(LSTM) ## known recipes by the scripts, three seeds, beside PyTorch (BASELINES_ARGS="--quick 3 4b")
	@LSTM=$(LSTM) sh tests/learn/baselines.sh $(BASELINES_ARGS)

examples: $(LSTM) ## build every example by the line in its first comment, and run it (EXAMPLES="npcs jobs": just these)
	@LSTM=$(LSTM) BUILD=$(BUILD) CC="$(CC)" sh tests/examples/run.sh $(EXAMPLES)

# Neither what is learned nor how exact a function is has anything to do with memory.
UNSANITIZED := tests/compile/% tests/install/% tests/learn/% tests/kernels/ulp.c tests/lua/test_hosts.sh
SANITIZE := -g -fno-omit-frame-pointer -fno-sanitize-recover=all
sanitize: ## the tests and the host with AddressSanitizer and UndefinedBehaviorSanitizer
	@TEST_TIMEOUT=1200 ASAN_OPTIONS=allocator_may_return_null=1 $(MAKE) --no-print-directory test BUILD=build/sanitize \
	  OPT=-O1 EXTRA="$(SANITIZE) -fsanitize=address,undefined" ONLY="$(filter-out $(UNSANITIZED),$(ONLY))"

tsan: ## the thread tests with ThreadSanitizer
	@$(MAKE) --no-print-directory test BUILD=build/tsan OPT=-O1 EXTRA="-g -fsanitize=thread" \
	  ONLY="$(wildcard tests/threads/*.c)"

# What other tests do in programs that they start is not seen by valgrind.
VALGRIND_LUA := $(filter-out tests/lua/scripts_% tests/lua/cli.lua,$(TEST_LUA))
valgrind: ## the Lua tests under valgrind
	@TEST_TIMEOUT=1200 $(MAKE) --no-print-directory test BUILD=build/valgrind DEBUG=1 ONLY="$(VALGRIND_LUA)" \
	  WRAP="valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99"

# --- checks ---------------------------------------------------------------------------------------------------------

check: $(LSTM) ## zero warnings on every compiler and standard, macros, symbols, header rules, linters
	@mkdir -p $(BUILD)
	@LSTM=$(LSTM) BUILD=$(BUILD) WARN="$(WARN)" LUA_CFLAGS="$(LUA_CFLAGS)" JOBS=$(JOBS) sh tests/compile/check.sh

cross: ## the tests on other machines: emulated, as WebAssembly and for Windows (TARGETS="aarch64 ...": just these)
	@BUILD=$(BUILD) CC="$(CC)" WARN="$(WARN)" JOBS=$(JOBS) sh tests/cross/cross.sh $(TARGETS)

golden: $(LSTM) ## make the golden numbers again with PyTorch and compare; files to and from PyTorch
	@mkdir -p $(BUILD)/results
	@LSTM=$(LSTM) BUILD=$(BUILD) TEST_TIMEOUT=1200 sh tests/run.sh pytorch $(BUILD)/results/pytorch.txt \
	  sh tests/golden/check_pytorch.sh
	@sh tests/summary.sh $(BUILD)/results pytorch

# Instrumented portable kernels would take a minute more to compile, for each target.
FUZZ_FLAGS := -DLSTM_NO_PORTABLE
fuzz: ## fuzz each target for TIME=60 seconds (needs clang)
	@for t in $(FUZZ_C); do n=$$(basename $$t .c); mkdir -p $(BUILD)/fuzz/corpus-$$n tests/fuzz/corpus/$$n; \
	  echo "fuzz $$n for $(TIME) s"; \
	  clang -std=c99 -O1 -g -I. -Itests $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	    -o $(BUILD)/fuzz/$$n $$t host/lstm_impl.c \
	  && $(BUILD)/fuzz/$$n -max_total_time=$(TIME) -timeout=20 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
	     -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus-$$n tests/fuzz/corpus/$$n \
	     > $(BUILD)/fuzz/$$n.log 2>&1 \
	  && echo "ok fuzz $$n" || { tail -n 60 $(BUILD)/fuzz/$$n.log; echo "not ok fuzz $$n"; exit 1; }; done

small: $(LSTM) ## code sizes of models without files, and one that runs on a Cortex-M4 in QEMU, if there is one
	@LSTM=$(LSTM) BUILD=$(BUILD) CC="$(CC)" sh tests/small/run.sh

report-test: $(LSTM) ## open lstm.report's pages in a headless Chromium, if there is one
	@LSTM=$(LSTM) BUILD=$(BUILD) sh tests/report/run.sh

bench: $(BUILD)/bench/bench ## measure; prints a table and writes build/bench.json (BENCH_ARGS="--quick --isa all ...")
	@$(BUILD)/bench/bench --json $(BUILD)/bench.json $(BENCH_ARGS)

bench-denormals: $(BUILD)/bench/denormals ## what a step costs when all fades into subnormal numbers; a minute
	@$(BUILD)/bench/denormals

bench-slices: $(BUILD)/bench/slices ## how long calls of lstm_train_some take, and by how much they exceed their budget
	@$(BUILD)/bench/slices $(BENCH_ARGS)

vs-torch: $(BUILD)/bench/bench ## the works of `make bench` in turns with PyTorch; writes build/vs_torch.json
	@python3 tests/bench/vs_torch.py --bench $(BUILD)/bench/bench --json $(BUILD)/vs_torch.json $(BENCH_ARGS)

vs-onednn: ## oneDNN's LSTM beside ours, one thread (needs libdnnl-dev)
	@echo '#include <oneapi/dnnl/dnnl.h>' | $(CC) -fsyntax-only -x c - 2>/dev/null || \
	  { echo "oneDNN was not found: apt-get install libdnnl-dev" >&2; exit 1; }
	@mkdir -p $(BUILD)/bench
	$(Q)$(CC) $(CFLAGS) -I. -o $(BUILD)/bench/vs_onednn tests/bench/vs_onednn.c -ldnnl
	@OMP_NUM_THREADS=1 $(BUILD)/bench/vs_onednn $(BENCH_ARGS)

ulp: $(BUILD)/tests/kernels_ulp ## how exact exp, sigmoid and tanh are: all floats; a minute
	@$(BUILD)/tests/kernels_ulp --full

isa-matrix: need-cmocka ## equal bits from gcc and clang, -O1 to -O3 -march=native
	@JOBS=$(JOBS) sh tests/isa/matrix.sh $(BUILD)/isa-matrix

$(BUILD)/bench/%: tests/bench/%.c Makefile
	@mkdir -p $(@D)
	@echo "  cc   $<"
	$(Q)$(CC) $(CFLAGS) $(DEPS) -I. -o $@ $< -lpthread

# --- install --------------------------------------------------------------------------------------------------------

LUA_MODULES := $(PREFIX)/lib/lua/5.4
SHARE       := $(PREFIX)/share/lstm
MAN1        := $(PREFIX)/share/man/man1
PKGCONFIG   := $(PREFIX)/lib/pkgconfig
INSTALLED   := $(PREFIX)/bin/lstm $(PREFIX)/include/lstm.h $(LUA_MODULES)/lstm.so $(MAN1)/lstm.1 $(PKGCONFIG)/lstm.pc

$(BUILD)/lstm.pc: lstm.h FORCE # always: it depends on PREFIX
	@mkdir -p $(@D)
	@version=$$(sed -n 's/^.define LSTM_VERSION_STRING "\(.*\)"/\1/p' lstm.h) && printf '%s\n' 'prefix=$(PREFIX)' \
	  'includedir=$${prefix}/include' '' 'Name: lstm' \
	  'Description: LSTM networks in one C header: define LSTM_IMPLEMENTATION in one file that includes lstm.h' \
	  "Version: $$version" 'Cflags: -I$${includedir}' >$@

install: all $(BUILD)/lstm.pc ## copy everything to PREFIX (/usr/local), below DESTDIR
	mkdir -p $(foreach d,$(sort $(dir $(INSTALLED))) $(SHARE)/scripts,"$(DESTDIR)$(d)")
	install -m 755 $(LSTM) "$(DESTDIR)$(PREFIX)/bin/lstm"
	install -m 644 lstm.h "$(DESTDIR)$(PREFIX)/include/lstm.h"
	install -m 755 $(MODULE) "$(DESTDIR)$(LUA_MODULES)/lstm.so"
	install -m 644 host/lstm.d.lua "$(DESTDIR)$(SHARE)/lstm.d.lua"
	install -m 644 scripts/*.lua "$(DESTDIR)$(SHARE)/scripts/"
	install -m 644 host/lstm.1 "$(DESTDIR)$(MAN1)/lstm.1"
	install -m 644 $(BUILD)/lstm.pc "$(DESTDIR)$(PKGCONFIG)/lstm.pc"

uninstall: ## remove what install copied
	rm -f $(foreach f,$(INSTALLED),"$(DESTDIR)$(f)")
	rm -rf "$(DESTDIR)$(SHARE)"

clean: ## remove everything that was built
	rm -rf build lstm

-include $(wildcard $(BUILD)/*.d $(BUILD)/host/*.d $(BUILD)/tests/*.d $(BUILD)/bench/*.d $(ANY_DIR)/*.d)
