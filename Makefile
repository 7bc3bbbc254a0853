# registryd: build, run, test, install.  `make help` lists the targets.
#
# New source files need no line here: whatever stands in a room's folder is
# built into one archive, and the two programs and every unit test link
# against it.  Variants (sanitizers, another compiler) are the same rules with
# another BUILD folder:  make CC=clang BUILD=build/clang

VERSION ?= 0.1.0

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR ?= $(PREFIX)/lib/systemd/system
MANDIR ?= $(PREFIX)/share/man

ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 600
PORT ?= 5000
DATA ?= data

# --- what is built -----------------------------------------------------------

ROOMS := base storage auth lifecycle scan mirror registryd registryd/net \
	registryd/http registryd/api registryctl
MAINS := registryd/main.c registryctl/main.c
SRCS := $(sort $(wildcard $(addsuffix /*.c,$(ROOMS))))
ROOM_SRCS := $(filter-out $(MAINS),$(SRCS))
UNIT_SRCS := $(sort $(wildcard tests/unit/test_*.c tests/unit/*/test_*.c \
	tests/unit/*/*/test_*.c))
# Helpers of unit tests: any other file in those folders.
UNIT_LIB_SRCS := $(filter-out $(UNIT_SRCS),$(sort $(wildcard tests/unit/*.c \
	tests/unit/*/*.c tests/unit/*/*/*.c)))
FUZZ_SRCS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_LIB_SRCS := $(filter-out $(FUZZ_SRCS),$(sort $(wildcard tests/fuzz/*.c)))
BENCH_SRCS := $(sort $(wildcard tests/bench/*.c))
# Programs that tests ask something of.
TOOL_SRCS := $(sort $(wildcard tests/tools/*.c))
ALL_C := $(SRCS) $(sort $(wildcard $(addsuffix /*.h,$(ROOMS)))) $(UNIT_SRCS) \
	$(UNIT_LIB_SRCS) $(FUZZ_SRCS) $(FUZZ_LIB_SRCS) $(BENCH_SRCS) \
	$(TOOL_SRCS) $(sort $(wildcard tests/unit/*.h tests/unit/*/*.h \
	tests/unit/*/*/*.h tests/fuzz/*.h tests/bench/*.h tests/crash/*.c))

LIB := $(BUILD)/librooms.a
OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
UNIT_BINS := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRCS))
FUZZ_BINS := $(patsubst %.c,$(BUILD)/%,$(FUZZ_SRCS))
BENCH_BINS := $(patsubst %.c,$(BUILD)/%,$(BENCH_SRCS))
TOOL_BINS := $(patsubst %.c,$(BUILD)/%,$(TOOL_SRCS))

# --- how ---------------------------------------------------------------------

PKGS := libevent_core openssl lmdb libarchive libzstd jansson libcyaml \
	yaml-0.1 libcurl libcrypt libseccomp libsolv rpm sqlite3

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
	-Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wswitch-enum -Wformat=2 -Wundef -Wpointer-arith \
	-Wno-missing-field-initializers \
	$(if $(filter 1,$(WERROR)),-Werror)

# SAN names what the sanitizers look for; empty is the release build.
SAN ?=
ifeq ($(SAN),)
CFLAGS ?= -O2 -g
HARDEN := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
SAN_FLAGS :=
else
CFLAGS ?= -O1 -g
HARDEN :=
SAN_FLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer \
	$(if $(findstring undefined,$(SAN)),-fno-sanitize-recover=undefined)
endif

# Deferred, and asked once: `make run` on a bare machine installs pkg-config.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell $(PKG_CONFIG) --cflags \
	$(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(shell $(PKG_CONFIG) --libs \
	$(PKGS)) -lm)$(PKG_LIBS)
CMOCKA_LIBS = $(eval CMOCKA_LIBS := $$(shell $(PKG_CONFIG) --libs \
	cmocka))$(CMOCKA_LIBS)

# The oracle of the HTTP fuzz target; some distributions have dropped it.
HTTP_PARSER_LIBS = $(if $(wildcard /usr/include/http_parser.h),-lhttp_parser)

ALL_CPPFLAGS = -D_GNU_SOURCE -I. $(PKG_CFLAGS) \
	-DREGISTRYD_VERSION='"$(VERSION)"' $(CPPFLAGS)
ALL_CFLAGS = -std=c17 $(CFLAGS) $(WARNINGS) -fPIE -fno-common -pthread \
	$(HARDEN) $(SAN_FLAGS)
ALL_LDFLAGS = -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(SAN_FLAGS) \
	$(LDFLAGS)

# `make V=1` shows the whole commands.
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(Q),@printf '  %-4s %s\n' '$(1)' '$(2)')

COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

all: $(BUILD)/registryd $(BUILD)/registryctl ## build build/registryd and build/registryctl (release)

# Objects follow the flags: a changed flag or compiler rebuilds them.  Those
# built with -Werror serve a build without it too.
FLAGS_NOW = $(strip $(CC) $(VERSION) $(CPPFLAGS) $(CFLAGS) $(HARDEN) \
	$(SAN_FLAGS) $(WARNINGS))
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); was=$$(cat $@ 2>/dev/null); \
	if [ "$$was" != '$(FLAGS_NOW)' ] && \
	    [ "$${was% -Werror}" != '$(FLAGS_NOW)' ]; then \
		printf '%s\n' '$(FLAGS_NOW)' > $@; \
	fi

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE)

$(LIB): $(call OBJ,$(ROOM_SRCS))
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) qcs $@ $^

$(BUILD)/registryd $(BUILD)/registryctl: $(BUILD)/%: $(BUILD)/obj/%/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) $(PKG_LIBS)

# A unit test links the helpers of its own folder.
HELPERS = $(call OBJ,$(filter $(dir $(1))%,$(UNIT_LIB_SRCS)))
.SECONDEXPANSION:
$(UNIT_BINS): $(BUILD)/%: $(BUILD)/obj/%.o $$(call HELPERS,$$*) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) \
		$(CMOCKA_LIBS) $(PKG_LIBS)

# Only meaningful with SAN=fuzzer-no-link,...: see the target fuzz-bins.
$(FUZZ_BINS): $(BUILD)/%: $(BUILD)/obj/%.o $(call OBJ,$(FUZZ_LIB_SRCS)) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ \
		$(filter %.o,$^) $(LIB) $(HTTP_PARSER_LIBS) $(PKG_LIBS)

$(BENCH_BINS) $(TOOL_BINS): $(BUILD)/%: $(BUILD)/obj/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) $(PKG_LIBS)

-include $(wildcard $(patsubst %.o,%.d,$(call OBJ,$(SRCS) $(UNIT_SRCS) \
	$(UNIT_LIB_SRCS) $(FUZZ_SRCS) $(FUZZ_LIB_SRCS) $(BENCH_SRCS) \
	$(TOOL_SRCS))))

# Pieces that other targets and tests/lib/run-tests ask for.
objects: $(call OBJ,$(SRCS))
unit-bins: $(UNIT_BINS) $(TOOL_BINS)
bench-bins: $(BENCH_BINS)
clang-bins:
	@$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/fuzz \
		SAN=fuzzer-no-link,address,undefined objects \
		$(patsubst %.c,$(BUILD)/fuzz/%,$(FUZZ_SRCS))
print-unit-bins:
	@printf '%s\n' $(UNIT_BINS)
print-fuzz-bins:
	@printf '%s\n' $(patsubst %.c,$(BUILD)/fuzz/%,$(FUZZ_SRCS))
print-sources:
	@printf '%s\n' $(ALL_C)

# --- what one types ----------------------------------------------------------

run: ## install what is missing, build, serve on 127.0.0.1:5000 (PORT=, DATA=)
	@tests/lib/setup build
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@exec tests/lib/serve $(BUILD)/registryd $(PORT) $(DATA)

test: ## install what is missing, run every test; the last line counts them
	@tests/lib/setup build test
	@python3 tests/lib/run-tests --make '$(MAKE)' --jobs $(JOBS) $(ONLY)

debug: ## build with ASan and UBSan into build/debug/
	@$(MAKE) BUILD=$(BUILD)/debug SAN=address,undefined all

tsan: ## build with ThreadSanitizer into build/tsan/
	@$(MAKE) BUILD=$(BUILD)/tsan SAN=thread all

install: all ## install below PREFIX= (and DESTDIR=): programs, man pages, sample configuration, systemd units
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(SYSCONFDIR)/registryd' \
		'$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(MANDIR)/man5' \
		'$(DESTDIR)$(MANDIR)/man8'
	install -m 755 $(BUILD)/registryd $(BUILD)/registryctl \
		'$(DESTDIR)$(PREFIX)/bin'
	ln -sf registryctl \
		'$(DESTDIR)$(PREFIX)/bin/docker-credential-registryd'
	install -m 644 docs/man/*.5 '$(DESTDIR)$(MANDIR)/man5'
	install -m 644 docs/man/*.8 '$(DESTDIR)$(MANDIR)/man8'
	@# An administrator's own file stays.
	test -e '$(DESTDIR)$(SYSCONFDIR)/registryd/registryd.yml' || \
		install -m 644 configs/registryd.yml \
		'$(DESTDIR)$(SYSCONFDIR)/registryd/registryd.yml'
	for unit in registryd registryd-lifecycle; do \
		sed -e 's|@BINDIR@|$(PREFIX)/bin|g' \
			-e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' \
			configs/$$unit.service \
			> '$(DESTDIR)$(UNITDIR)'/$$unit.service && \
		chmod 644 '$(DESTDIR)$(UNITDIR)'/$$unit.service || exit 1; \
	done
	install -m 644 configs/registryd-lifecycle.timer '$(DESTDIR)$(UNITDIR)'

lint: ## clang-format, clang-tidy, cppcheck, gcc -fanalyzer, layers, banned functions
	@tests/lib/setup build test lint
	@MAKE='$(MAKE)' JOBS='$(JOBS)' \
		LINT_CPPFLAGS='$(filter-out -DREGISTRYD_%,$(ALL_CPPFLAGS))' \
		tests/lint/run $(ALL_C)

format: ## lay the C files out as .clang-format says
	clang-format -i $(ALL_C)

bench: ## measure against docker-registry, nginx and the push floor
	@tests/lib/setup build test bench
	@$(MAKE) -j$(JOBS) all bench-bins
	@tests/bench/run $(BENCH_ARGS)

conformance: ## the OCI distribution-spec conformance suite (needs Go 1.24 or newer)
	@tests/lib/setup build
	@$(MAKE) -j$(JOBS) all
	@tests/conformance/run

fuzz: ## every fuzz target, and the model test, for FUZZ_SECONDS=600 each
	@tests/lib/setup build test
	@python3 tests/lib/run-tests --make '$(MAKE)' --jobs $(JOBS) \
		--fuzz-seconds $(FUZZ_SECONDS) fuzz
	@$(MAKE) --no-print-directory $(BUILD)/tests/unit/model/test_model
	@MODEL_SECONDS=$(FUZZ_SECONDS) $(BUILD)/tests/unit/model/test_model

docs-check: ## what the documents say against what the code says
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@python3 tests/lint/docs $(BUILD)

clean: ## remove build/
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)

FORCE:
.PHONY: all objects unit-bins bench-bins clang-bins print-unit-bins \
	print-fuzz-bins print-sources run test debug tsan install lint format \
	bench conformance fuzz docs-check clean help FORCE
