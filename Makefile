# make demo            see it work: back up, drop a table, restore to the minute before
# make test            everything a change must pass; ends with "N passed, N failed, N skipped"
# make                 build/release/pgbr
# make install         DESTDIR= PREFIX=/usr/local UNITDIR=PREFIX/lib/systemd/system
# make unit server     tests without, and with, a PostgreSQL server; T=tests/server/x.t for one;
#                      FAULTS=60 SEED=: faults on the wire to S3, and which
# make model           every interleaving of the protocols by which hosts share a repository
# make crash           ROUNDS=5 SEED=: kill pgbr anywhere, then look what is left
# make regress         PG_SRC=DIR: PostgreSQL's own regression tests, with incrementals taken meanwhile
# make storm           ROUNDS=5 SEED= STORE=posix|s3: many hosts on one repository, killed, paused
# make truth           ROUNDS=5 SEED= VERSIONS="13 15 18": incremental backups under every kind of load against
#                      replay of all WAL, page by page
# make day             HOURS=24 SPEED=100 SEED=: a day of two schedulers at a hundred times its speed, killed at random
# make windows         MOMENTS=100 SEED=: what "pgbr windows" claims of random moments against restores to them
# make fuzz            SECONDS=5 for each parser
# make asan tsan       the tests under sanitizers, each in its own folder
# make lint fmt        what a reviewer would otherwise have to say
# make bench           speed, in ratios
# make deps            install what all this needs (Debian 12)
#
# Objects lie in $B. FLAVOUR=asan|tsan|fuzz|crash builds another kind; B=build/mine keeps builds
# apart; V=1 shows whole commands.
FLAVOUR ?= release
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
ROUNDS  ?= 5
SECONDS ?= 5
JOBS    ?= 2
B       := build/$(FLAVOUR)

# Each includes only those before it (tests/layers.sh).
FOLDERS := base postgres $(addprefix repo/,store object) repo $(addprefix repo/,pack lease wal manifest reuse verify expire) \
           catalog config $(addprefix wal/,index archive reach) backup restore \
           $(addprefix scheduler/,jobs status notify page) scheduler cli
SRC     := $(wildcard $(FOLDERS:%=%/*.c))
HDR     := $(wildcard $(FOLDERS:%=%/*.h))
TESTSRC := $(wildcard tests/lib/*.[ch] tests/unit/*/*.[ch] tests/fuzz/*.[ch] tests/crash/*.[ch])
SHELLS  := .ci/run $(wildcard tests/*.sh tests/*/*.sh tests/server/*.t tests/crash/*.t tests/storm/*.t tests/regress/*.t \
           tests/truth/*.t tests/day/*.t)
LIB_OBJ := $(patsubst %.c,$B/%.o,$(filter-out cli/main.c,$(SRC)))
AID_OBJ := $(patsubst %.c,$B/%.o,$(wildcard tests/lib/*.c))
UNIT    := $(patsubst %.c,$B/%,$(wildcard tests/unit/*/test_*.c))
FUZZ    := $(patsubst %.c,$B/%,$(wildcard tests/fuzz/fuzz_*.c))
MAN     := $(wildcard docs/*.[1-8])
UNITS   := $(wildcard docs/systemd/*.service docs/systemd/*.timer)
# Where systemd looks for what was not installed by a package, or by one.
UNITDIR ?= $(if $(filter /usr,$(PREFIX)),/lib/systemd/system,$(PREFIX)/lib/systemd/system)
# What is not read in the tree only: /usr/share/doc/pgbr/examples and so on.
AIDS    := $(wildcard docs/examples/* docs/monitoring/*)
# Others give a header only and are loaded when they are wanted: docs/decisions/0003.
PKGS    := libcrypto libzstd yaml-0.1 jansson libxxhash

LIBS_test_catalog := -lsqlite3 # it looks into the file itself

WARN    := -Wall -Wextra -Werror -Wshadow -Wvla -Wwrite-strings -Wcast-qual -Wformat=2 \
           -Wstrict-prototypes -Wmissing-prototypes -Wundef
FLAGS_release := -fstack-protector-strong -D_FORTIFY_SOURCE=2
FLAGS_crash   := $(FLAGS_release) -DPGBR_CRASH_POINTS
FLAGS_asan    := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan    := -fsanitize=thread
FLAGS_fuzz    := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) libpq 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
COMPILE     = $(CC) -std=gnu17 -D_GNU_SOURCE -I. -pthread -fPIE -MMD -MP $(WARN) $(PKG_CFLAGS) \
              $(FLAGS_$(FLAVOUR)) $(CPPFLAGS) $(CFLAGS)
LINK        = $(COMPILE) -pie -Wl,-z,relro,-z,now,--as-needed $(LDFLAGS)

# A flavour built from within another run: build/asan, or build/mine/asan for B=build/mine.
flavour = $(MAKE) --no-print-directory FLAVOUR=$1 B=$(patsubst %/$(FLAVOUR),%,$B)/$1
# One word for a command, or with V=1 the whole command.
run     = $(if $V,,@printf '  %-6s %s\n' '$1' '$2'; )
# Where the raw results go (tests/all.sh counts them) is the caller's PERL_TEST_HARNESS_DUMP_TAP.
PROVE   = prove -j$(JOBS) $(PROVEFLAGS)

all: $B/pgbr

$B/pgbr: $B/cli/main.o $B/libpgbr.a
	$(call run,link,$@)$(LINK) -o $@ $^ $(PKG_LIBS)

$B/libpgbr.a: $(LIB_OBJ)
	$(call run,pack,$@)rm -f $@ && $(AR) rcs $@ $^

$B/%.o: %.c
	@mkdir -p $(@D)
	$(call run,$(CC),$<)$(COMPILE) -c -o $@ $<

$(UNIT): %: %.o $(AID_OBJ) $B/libpgbr.a
	$(call run,link,$@)$(LINK) -o $@ $^ $(PKG_LIBS) $(LIBS_$(@F)) -lcmocka

$(FUZZ): %: %.o $B/libpgbr.a
	$(call run,link,$@)$(LINK) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

units: $(UNIT)
fuzzers: $(FUZZ)

unit: $(UNIT)
	CMOCKA_MESSAGE_OUTPUT=TAP $(PROVE) --exec env $(sort $(filter-out %/test_store_s3,$(UNIT)))

server: $B/pgbr $B/tests/unit/repo/test_store_s3 pg-versions
	PGBR=$(abspath $B)/pgbr $(PROVE) $(or $(T),tests/server)

model:
	$(PROVE) --exec python3 tests/model/test_protocols.py

# Two programs: one that can be killed at named points, and the usual one that has to cope with it.
crash: $B/pgbr
	$(call flavour,crash) all
	PGBR=$(abspath $B)/pgbr CRASHING=$(abspath $(patsubst %/$(FLAVOUR),%,$B))/crash/pgbr \
	    ROUNDS=$(ROUNDS) SEED=$(SEED) $(PROVE) -v tests/crash

# The same two programs.
storm: $B/pgbr
	$(call flavour,crash) all
	PGBR=$(abspath $B)/pgbr CRASHING=$(abspath $(patsubst %/$(FLAVOUR),%,$B))/crash/pgbr \
	    ROUNDS=$(ROUNDS) SEED=$(SEED) STORE=$(STORE) $(PROVE) -v tests/storm

regress: $B/pgbr
	PGBR=$(abspath $B)/pgbr PG_SRC=$(abspath $(PG_SRC)) $(PROVE) -v tests/regress

truth: $B/pgbr pg-versions
	PGBR=$(abspath $B)/pgbr ROUNDS=$(ROUNDS) SEED=$(SEED) VERSIONS="$(VERSIONS)" $(PROVE) -v tests/truth

day: $B/pgbr
	PGBR=$(abspath $B)/pgbr HOURS=$(or $(HOURS),24) SPEED=$(or $(SPEED),100) SEED=$(SEED) MOMENTS=$(or $(MOMENTS),20) $(PROVE) -v tests/day

windows: $B/pgbr pg-versions
	PGBR=$(abspath $B)/pgbr MOMENTS=$(or $(MOMENTS),100) SEED=$(SEED) TEST_LIMIT=7200 \
	    $(PROVE) -v tests/server/740_windows.t

fuzz:
	$(call flavour,fuzz) CC=clang fuzzers
	$(PROVE) --exec "tests/fuzz/run.sh $(SECONDS)" \
	    $(sort $(FUZZ:$B/%=$(patsubst %/$(FLAVOUR),%,$B)/fuzz/%))

asan:
	$(call flavour,asan) unit server
tsan:
	$(call flavour,tsan) unit

test:
	@MAKE="$(MAKE)" B=$B ROUNDS=$(ROUNDS) SECONDS_EACH=$(SECONDS) JOBS=$(JOBS) tests/all.sh

demo: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@PGBR=$(abspath $B)/pgbr tests/lib/demo.sh

bench: all
	PGBR=$(abspath $B)/pgbr tests/bench/run.sh

deps:
	@tests/lib/deps.sh

pg-versions:
	@tests/lib/pg_versions.sh build/pg

fmt:
	clang-format -i $(SRC) $(HDR) $(TESTSRC)

# Each part is a target, so that "make -k lint" tells everything at once.
LINTS := format layers sizes shell man cppcheck tidy
lint: $(LINTS:%=lint-%)
lint-format:
	clang-format --dry-run -Werror $(SRC) $(HDR) $(TESTSRC)
lint-layers:
	@tests/layers.sh "$(FOLDERS)" $(SRC) $(HDR)
lint-sizes:
	tests/sizes.sh $(SRC) $(HDR)
lint-shell:
	shellcheck $(SHELLS)
lint-man:
	mandoc -Tlint -Wwarning $(MAN)
lint-cppcheck:
	cppcheck -q -j$(JOBS) --std=c11 -D_GNU_SOURCE --enable=warning,performance,portability \
	    --inline-suppr --suppressions-list=tests/cppcheck.txt --error-exitcode=1 -I. $(SRC)
lint-tidy:
	@printf '%s\n' $(SRC) | xargs -P$(JOBS) -n4 tests/tidy.sh $(COMPILE)

install: $B/pgbr
	install -D -m755 $B/pgbr $(DESTDIR)$(PREFIX)/bin/pgbr
	for page in $(MAN); do \
	    install -D -m644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; \
	done
	for unit in $(UNITS); do \
	    install -D -m644 $$unit $(DESTDIR)$(UNITDIR)/$${unit##*/} && \
	    sed -i 's|@PREFIX@|$(PREFIX)|' $(DESTDIR)$(UNITDIR)/$${unit##*/} || exit 1; \
	done
	for file in $(AIDS); do \
	    install -D -m644 $$file $(DESTDIR)$(PREFIX)/share/doc/pgbr/$${file#docs/} || exit 1; \
	done

# Other PostgreSQL versions stay: they are not built here, only fetched.
clean:
	rm -rf $(filter-out build/pg,$(wildcard build/*))

.PHONY: all units fuzzers unit server model crash storm day regress truth windows fuzz asan tsan test demo bench \
        deps pg-versions fmt lint $(LINTS:%=lint-%) install clean
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(AID_OBJ:.o=.d) $(UNIT:=.d) $(FUZZ:=.d) $B/cli/main.d
