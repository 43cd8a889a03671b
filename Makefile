# keyless: build, test and install.  `make help` lists the verbs.
#
#   make CC=clang                    another compiler            (built in build/clang)
#   make SAN=address,undefined test  under the sanitizers        (built in build/gcc-address-undefined)
#   make BUILD=/tmp/b                another place for what is built; nothing is written elsewhere

MAKEFLAGS += --no-builtin-rules
CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
SAN      ?=
comma    := ,
variant  := $(if $(or $(SAN),$(filter-out gcc,$(CC))),/$(notdir $(CC))$(if $(SAN),-$(subst $(comma),-,$(SAN))))
BUILD    ?= build$(variant)
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := 0.1.0
ARCH     := $(shell uname -m)
# The verbs build on every core, unless -j says otherwise.
JOBS      = $(if $(findstring j,$(filter-out --%,$(MAKEFLAGS))),,-j$(shell nproc))
SUBMAKE   = $(MAKE) --no-print-directory $(JOBS)

# ---- flags ----------------------------------------------------------------------------------------------

OPT      ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough \
            $(if $(WERROR),-Werror)
is_clang := $(findstring clang,$(CC))
autoinit := -ftrivial-auto-var-init=zero \
            $(if $(is_clang),$(shell $(CC) -ftrivial-auto-var-init=zero -fsyntax-only -xc /dev/null 2>/dev/null || \
              echo -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang))
cfi_x86_64  := -fcf-protection=full
cfi_aarch64 := -mbranch-protection=standard
HARDEN   := -fstack-protector-strong -fstack-clash-protection $(cfi_$(ARCH)) $(autoinit) \
            $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
CPPFLAGS += -I. -I$(BUILD)/gen -D_GNU_SOURCE -DKEYLESS_VERSION='"$(VERSION)"' -DOPENSSL_NO_DEPRECATED
CFLAGS   := -std=gnu11 $(OPT) -fPIE $(WARN) $(HARDEN) $(SANFLAGS) $(CFLAGS)
LDFLAGS  := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(SANFLAGS) $(LDFLAGS)
LDLIBS   := -lssl -lcrypto -lsodium -luv -lconfuse -lprotobuf-c -ljansson -lseccomp -lpthread

# ---- what is built --------------------------------------------------------------------------------------

common_src    := $(wildcard common/*.c)
proto_src     := $(wildcard proto/*.c)
keyserver_src := $(filter-out keyserver/main.c,$(wildcard keyserver/*.c keyserver/*/*.c keyserver/*/*/*.c))
edge_src      := $(filter-out edge/main.c,$(wildcard edge/*.c edge/*/*.c))
cli_src       := $(wildcard cli/*.c)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIBCOMMON    := $(BUILD)/libcommon.a
LIBPROTO     := $(BUILD)/libproto.a
LIBKEYSERVER := $(BUILD)/libkeyserver.a
LIBEDGE      := $(BUILD)/libedge.a
LIBCLI       := $(BUILD)/libcli.a
PROGRAMS     := $(BUILD)/keyless-server $(BUILD)/keyless-edge $(BUILD)/keyless

# The libraries each folder may link with: the direction of the architecture, again at link time.
libs_common    := $(LIBCOMMON)
libs_proto     := $(LIBPROTO) $(LIBCOMMON)
libs_keyserver := $(LIBKEYSERVER) $(libs_proto)
libs_edge      := $(LIBEDGE) $(libs_proto)
libs_cli       := $(LIBCLI) $(LIBKEYSERVER) $(LIBEDGE) $(libs_proto)

UNIT_SRC   := $(wildcard tests/unit/*/test_*.c)
UNIT_RIGS  := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*/*.c))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
PEER_SRC   := $(wildcard tests/lib/peer_*.c)
PEERS      := $(patsubst tests/lib/%.c,$(BUILD)/tests/%,$(PEER_SRC))
BENCH_SRC  := $(wildcard tests/bench/*.c)
BENCHES    := $(patsubst tests/%.c,$(BUILD)/%,$(BENCH_SRC))
TIMING_SRC := $(wildcard tests/timing/*.c)
TIMERS     := $(addprefix $(BUILD)/timing/,ask memcheck memcheck-leaky memcheck-lanes memcheck-ec memcheck-ec-leaky \
                memcheck-ed memcheck-ed-leaky \
                keyless-server-leaky)
FUZZ_SRC   := $(wildcard tests/fuzz/fuzz_*.c)
FUZZERS    := $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(FUZZ_SRC))
MAN        := $(patsubst docs/man/%.scd,$(BUILD)/man/%,$(wildcard docs/man/*.scd))

.PHONY: all programs help demo test unit integration lint bench timing fuzz install uninstall clean deps-build deps-test man format
.DEFAULT_GOAL := all

all: deps-build ## build the three programs and their manual pages
	@$(SUBMAKE) programs man

programs: $(PROGRAMS)
man: $(MAN)

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# ---- dependencies of the machine ---------------------------------------------------------------------------

deps-build:
	@deploy/deps.sh build
deps-test:
	@deploy/deps.sh build test

# What a rule does is said in a word; V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' '$(1)' '$@')

# ---- rules --------------------------------------------------------------------------------------------------

$(BUILD)/gen/proto/keyless.pb-c.c: proto/keyless.proto
	@mkdir -p $(BUILD)/gen
	$(call say,PROTO)
	$(Q)protoc --c_out=$(BUILD)/gen $<
$(BUILD)/gen/proto/keyless.pb-c.h: $(BUILD)/gen/proto/keyless.pb-c.c ;

GENERATED := $(BUILD)/obj/gen/keyless.pb-c.o
$(GENERATED): $(BUILD)/gen/proto/keyless.pb-c.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-conversion -Wno-cast-qual -MMD -MP -c -o $@ $<
$(call objects,$(proto_src) $(UNIT_SRC) $(UNIT_RIGS) $(PEER_SRC) $(BENCH_SRC) $(TIMING_SRC) $(FUZZ_SRC)): | $(BUILD)/gen/proto/keyless.pb-c.c

# Kernels for the vector unit: only these files are compiled for it, and nothing of them runs before keyserver/lanes/lanes.c
# has found that it can.
ifma_x86_64 := -O3 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx512ifma
$(BUILD)/obj/keyserver/lanes/%_ifma.o: CFLAGS += $(ifma_$(ARCH))
# They are written for the vector unit; what clang makes of the rest by itself reads memory at numbers from there.
$(BUILD)/obj/keyserver/lanes/%_ifma.o: CFLAGS += $(if $(is_clang),-fno-vectorize -fno-slp-vectorize)
# Long chains of products want to be interleaved before registers are given out: a seventh of the time.
$(BUILD)/obj/keyserver/lanes/e%_ifma.o: CFLAGS += $(if $(is_clang),,-fschedule-insns -fsched-pressure -fno-var-tracking)
$(BUILD)/obj/keyserver/lanes/e%_portable.o: CFLAGS += $(if $(is_clang),,-fno-var-tracking)

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define archive
	$(call say,AR)
	@rm -f $@
	$(Q)ar qcs $@ $^
endef
$(LIBCOMMON): $(call objects,$(common_src)) ; $(archive)
$(LIBPROTO): $(call objects,$(proto_src)) $(GENERATED) ; $(archive)
$(LIBKEYSERVER): $(call objects,$(keyserver_src)) ; $(archive)
$(LIBEDGE): $(call objects,$(edge_src)) ; $(archive)
$(LIBCLI): $(call objects,$(filter-out cli/main.c,$(cli_src))) ; $(archive)

define link
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) $(1)
endef
$(BUILD)/keyless-server: $(call objects,keyserver/main.c) $(libs_keyserver) ; $(link)
$(BUILD)/keyless-edge: $(call objects,edge/main.c) $(libs_edge) ; $(link)
$(BUILD)/keyless: $(call objects,cli/main.c) $(libs_cli) ; $(link)

.SECONDEXPANSION:
# A test is linked from the objects that it needs; which these are follows from what its files include.
$(UNIT_TESTS): $(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/obj/tests/unit/process.o
	@mkdir -p $(@D)
	$(call link,-lcmocka)
ifneq ($(filter unit unit-programs $(BUILD)/tests/%,$(MAKECMDGOALS)),)
$(shell mkdir -p $(BUILD) && tests/unit/needs.py $(BUILD) > $(BUILD)/unit.mk || rm -f $(BUILD)/unit.mk)
include $(BUILD)/unit.mk
endif
# Hostile or slow peers that the integration tests play; they may use everything.
$(PEERS): $(BUILD)/tests/%: $(BUILD)/obj/tests/lib/%.o $(libs_cli)
	@mkdir -p $(@D)
	$(link)
# CPU time of the lanes beside OpenSSL's; clients and origin of the benchmarks, the same for every server that is measured.
lane_benches := $(filter $(BUILD)/bench/lanes_%,$(BENCHES))
$(lane_benches): $(BUILD)/%: $(BUILD)/obj/tests/%.o $(libs_keyserver)
$(filter-out $(lane_benches),$(BENCHES)): $(BUILD)/%: $(BUILD)/obj/tests/%.o $(libs_common)
$(BENCHES):
	@mkdir -p $(@D)
	$(link)
# With BoringSSL, where it is there, the client costs half: then it keeps servers busy that are faster than an OpenSSL client.
boring_library := $(firstword $(wildcard /usr/lib/*/android/libssl.so))
ifneq ($(boring_library),)
$(BUILD)/obj/tests/bench/tls_client.o: private CPPFLAGS += -isystem /usr/include/android
$(BUILD)/bench/tls_client: private LDLIBS := -L$(dir $(boring_library)) -Wl,-rpath,$(dir $(boring_library)) -lssl -lcrypto
endif
# What is measured for leaks by time, and beside it the same with a leak: an object that comes before the library.
leak := $(BUILD)/obj/tests/timing/leaky_premaster.o
$(BUILD)/timing/ask: $(BUILD)/obj/tests/timing/ask.o $(libs_cli)
$(BUILD)/timing/memcheck: $(BUILD)/obj/tests/timing/memcheck.o $(libs_keyserver)
$(BUILD)/timing/memcheck-leaky: $(BUILD)/obj/tests/timing/memcheck.o $(leak) $(libs_keyserver)
$(BUILD)/timing/memcheck-lanes: $(BUILD)/obj/tests/timing/memcheck_lanes.o $(libs_keyserver)
$(BUILD)/timing/memcheck-ec: $(BUILD)/obj/tests/timing/memcheck_ec.o $(libs_keyserver)
$(BUILD)/timing/memcheck-ec-leaky: $(BUILD)/obj/tests/timing/memcheck_ec.o $(BUILD)/obj/tests/timing/leaky_ec.o $(libs_keyserver)
$(BUILD)/timing/memcheck-ed: $(BUILD)/obj/tests/timing/memcheck_ed.o $(libs_keyserver)
$(BUILD)/timing/memcheck-ed-leaky: $(BUILD)/obj/tests/timing/memcheck_ed.o $(BUILD)/obj/tests/timing/leaky_ed.o $(libs_keyserver)
$(BUILD)/timing/keyless-server-leaky: $(call objects,keyserver/main.c) $(leak) $(libs_keyserver)
$(TIMERS):
	@mkdir -p $(@D)
	$(link)
# Only in a build for the fuzzer, as `make fuzz` starts it: clang, with SAN=…,fuzzer-no-link.
$(FUZZERS): $(BUILD)/%: $(BUILD)/obj/tests/fuzz/%.o $(libs_cli)
	$(call link,-fsanitize=fuzzer)

$(BUILD)/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	$(call say,MAN)
	$(Q)scdoc < $< > $@

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.SECONDARY:

# ---- verbs --------------------------------------------------------------------------------------------------

test: deps-test ## every unit and integration test; STRESS=1 beside load, LANES=off as without AVX-512 IFMA
	@$(SUBMAKE) programs $(if $(UNIT_TESTS),unit-programs) $(if $(PEERS),peers) $(BUILD)/timing/ask
	@BUILD=$(BUILD) SAN=$(SAN) STRESS=$(STRESS) LANES=$(LANES) tests/run

.PHONY: unit-programs peers bench-programs timing-programs fuzz-programs fuzz-objects
unit-programs: $(UNIT_TESTS)
peers: $(PEERS)
bench-programs: $(BENCHES)
timing-programs: $(TIMERS)
fuzz-programs: $(FUZZERS)
fuzz-objects: $(call objects,$(FUZZ_SRC))

unit: deps-test ## the unit tests only; T=judge: test_judge alone, built from what it needs
	@$(SUBMAKE) $(if $(T),$(or $(filter %/test_$(T),$(UNIT_TESTS)),$(error there is no tests/unit/*/test_$(T).c)),unit-programs)
	@BUILD=$(BUILD) SAN=$(SAN) STRESS=$(STRESS) LANES=$(LANES) T=$(T) tests/run unit

integration: deps-test ## the integration tests only; K=expression selects
	@$(SUBMAKE) programs peers $(BUILD)/timing/ask
	@BUILD=$(BUILD) SAN=$(SAN) STRESS=$(STRESS) LANES=$(LANES) K="$(K)" tests/run integration

demo: deps-build ## the whole path on this machine, with proofs; KEEP=1 stays up
	@deploy/deps.sh build demo
	@deploy/demo/build.py $(SUBMAKE) programs
	@BUILD=$(BUILD) KEEP=$(KEEP) deploy/demo/demo.py

lint: deps-test ## who may include whom, headers alone, warnings as errors, hardening, format
	@deploy/deps.sh build test lint timing
	@BUILD=$(BUILD) tests/lint/lint

bench: deps-build ## every goal of speed and memory, beside OpenSSL, nginx, HAProxy and hitch; SHORT=1, SAVE=1, ONLY=part
	@deploy/deps.sh bench || echo "make bench: goes on without what is missing"
	@$(SUBMAKE) programs bench-programs
	@BUILD=$(BUILD) tests/bench/bench.py $(if $(SHORT),--short) $(if $(SAVE),--save) $(if $(ONLY),--only "$(ONLY)")

timing: ## whether a padding shows in the time: at the socket, and by valgrind; each with a leak that must be found
	@deploy/deps.sh build test timing
	@$(SUBMAKE) programs timing-programs
	@BUILD=$(BUILD) tests/timing/timing.py

fuzz: ## every fuzzer for SECONDS (default 30) each; ONLY="name …" selects
	@deploy/deps.sh build fuzz
	@$(SUBMAKE) CC=clang SAN=address,undefined,fuzzer-no-link BUILD=$(BUILD)/fuzz \
	    $(if $(ONLY),$(ONLY:%=$(BUILD)/fuzz/fuzz_%),fuzz-programs)
	@BUILD=$(BUILD) SECONDS=$(or $(SECONDS),30) tests/fuzz/run $(ONLY)

format: ## lay the code out
	@clang-format -i $(shell git ls-files '*.c' '*.h')

# The paths stand in units and in commands of a shell, each with an escaping of its own.
install: export PLACES = $(DESTDIR)$(PREFIX)
install: all ## into $(DESTDIR)$(PREFIX), with units for systemd; without DESTDIR also the accounts of the daemons
	@case "$$PLACES" in *[!A-Za-z0-9/._+-]*) echo "make install: DESTDIR and PREFIX take letters, digits and /._+- only" >&2; exit 1;; esac
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin
	install -m 0755 $(BUILD)/keyless $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(BUILD)/keyless-server $(BUILD)/keyless-edge $(DESTDIR)$(PREFIX)/sbin
	for page in $(MAN); do install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	install -D -m 0644 deploy/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/keyless.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in keyless-server.service keyless-edge.service; do \
	    sed 's|@sbindir@|$(PREFIX)/sbin|' deploy/systemd/$$unit.in | \
	        install -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; done
	$(if $(DESTDIR),,deploy/users.sh)

uninstall: export PLACES = $(DESTDIR)$(PREFIX)
uninstall: ## what install has put there; accounts, configurations, keys and audit logs stay
	@case "$$PLACES" in *[!A-Za-z0-9/._+-]*) echo "make uninstall: DESTDIR and PREFIX take letters, digits and /._+- only" >&2; exit 1;; esac
	rm -f $(DESTDIR)$(PREFIX)/bin/keyless $(DESTDIR)$(PREFIX)/sbin/keyless-server $(DESTDIR)$(PREFIX)/sbin/keyless-edge
	for page in $(notdir $(MAN)); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$page; done
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/keyless.conf
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/keyless-server.service $(DESTDIR)$(PREFIX)/lib/systemd/system/keyless-edge.service

clean: ## remove all that was built
	rm -rf $(BUILD)
