# make               build/release/pgbr
# make unit server   tests without, and with, a PostgreSQL server
# make asan tsan     the same under sanitizers, each in its own folder
# make lint fmt      what a reviewer would otherwise have to say
FLAVOUR ?= release
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
B       := build/$(FLAVOUR)

FOLDERS := base postgres repo repo/store catalog config wal backup restore scheduler cli
SRC     := $(wildcard $(FOLDERS:%=%/*.c))
HDR     := $(wildcard $(FOLDERS:%=%/*.h))
LIB_OBJ := $(patsubst %.c,$B/%.o,$(filter-out cli/main.c,$(SRC)))
AID_OBJ := $(patsubst %.c,$B/%.o,$(wildcard tests/lib/*.c))
UNIT    := $(patsubst %.c,$B/%,$(wildcard tests/unit/*/test_*.c))
PKGS    := libcrypto libzstd yaml-0.1 sqlite3 jansson libxxhash

WARN    := -Wall -Wextra -Werror -Wshadow -Wvla -Wwrite-strings -Wcast-qual -Wformat=2 \
           -Wstrict-prototypes -Wmissing-prototypes -Wundef
SANITIZE_asan := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZE_tsan := -fsanitize=thread

PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS))
COMPILE     = $(CC) -std=gnu17 -D_GNU_SOURCE -I. -pthread -MMD -MP $(WARN) $(PKG_CFLAGS) \
              $(SANITIZE_$(FLAVOUR)) $(CPPFLAGS) $(CFLAGS)

all: $B/pgbr

$B/pgbr: $B/cli/main.o $B/libpgbr.a
	$(COMPILE) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$B/libpgbr.a: $(LIB_OBJ)
	rm -f $@ && $(AR) rcs $@ $^

$B/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

$(UNIT): %: %.o $(AID_OBJ) $B/libpgbr.a
	$(COMPILE) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka

unit: $(UNIT)
	@set -e; for t in $(UNIT); do $$t; done

server: $B/pgbr
	PGBR=$(CURDIR)/$B/pgbr prove -j2 tests/server

test: unit server

asan tsan:
	$(MAKE) FLAVOUR=$@ unit

fmt:
	clang-format -i $(SRC) $(HDR) $(wildcard tests/*/*.[ch] tests/unit/*/*.[ch])

lint:
	clang-format --dry-run -Werror $(SRC) $(HDR)
	cppcheck -q --std=c11 --enable=warning,portability --error-exitcode=1 -I. $(SRC)
	tests/layers.sh $(SRC) $(HDR)

install: $B/pgbr
	install -D -m755 $B/pgbr $(DESTDIR)$(PREFIX)/bin/pgbr
	install -D -m644 docs/pgbr.1 $(DESTDIR)$(PREFIX)/share/man/man1/pgbr.1

clean:
	rm -rf build

.PHONY: all unit server test asan tsan fmt lint install clean
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(AID_OBJ:.o=.d) $(UNIT:=.d) $B/cli/main.d
