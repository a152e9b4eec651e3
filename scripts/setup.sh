#!/usr/bin/env bash
# Makes this checkout ready to run; safe to interrupt and to run again (the second run takes well under a second).
# usage: scripts/setup.sh [all|venv]     all: Debian packages (root) and .venv     venv: .venv only
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
give_up() { printf 'setup: cannot go on: %s\n' "$*" >&2; exit 69; }

# command, the Debian package that brings it
needs=(
    "glusterfsd glusterfs-client"   # bricks, FUSE client, glfsheal
    "mkfs.xfs xfsprogs"             # the lab's brick filesystems
    "etcd etcd-server"              # fallback when no newer etcd can be had
    "etcdctl etcd-client"           # the tests give etcd users and roles with it
    "openssl openssl"               # the tests' certificates
    "gcc gcc"                       # the tests' xlator libraries
    "ip iproute2"                   # loopback inside the lab's network namespace
    "fusermount3 fuse3"
    "nsenter util-linux"
    "losetup mount"
    "setfattr attr"
    "strace strace"                 # the tests see and cut system calls with it
)

missing_packages() {
    local entry
    for entry in "${needs[@]}"; do
        command -v "${entry%% *}" >/dev/null || PATH="$PATH:/usr/sbin:/sbin" command -v "${entry%% *}" >/dev/null \
            || echo "${entry##* }"
    done
    [ -n "$(find_python)" ] || echo python3
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
}

find_python() {
    local candidate
    for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"; return
        fi
    done
}

system_packages() {
    local missing
    missing=$(missing_packages | sort -u | tr '\n' ' ')
    [ -n "${missing// /}" ] || return 0
    [ "$(id -u)" = 0 ] || give_up "missing Debian packages: ${missing}- run this as root, or: apt-get install ${missing}"
    command -v apt-get >/dev/null || give_up "missing: ${missing}- and there is no apt-get here (Debian 12 is supported)"
    say "installing ${missing}"
    export DEBIAN_FRONTEND=noninteractive
    # A daemon that the package would start (etcd on its fixed port) must not run: policy for this one call only.
    local policy log
    mkdir -p .build
    log=$PWD/.build/apt.log
    apt-get -qq update >"$log" 2>&1 || say "apt-get update failed (see $log); trying with the lists at hand"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    # shellcheck disable=SC2086  # a list of words on purpose
    apt-get -y --no-install-recommends install $missing >>"$log" 2>&1 \
        || give_up "apt-get could not install: ${missing}- its last words: $(tail -n 3 "$log")"
}

environment() {
    local python stamp want
    python=$(find_python)
    [ -n "$python" ] || give_up "no Python >= 3.11 with the venv module (Debian packages: python3 python3-venv)"
    want="$(sha256sum requirements.lock pyproject.toml | sha256sum | cut -c1-32) $PWD"
    stamp=.venv/.setup-stamp
    [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && .venv/bin/python -c '' 2>/dev/null && return 0
    say "building .venv (first run: about a minute)"
    rm -f "$stamp"
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock \
        || give_up "pip could not install requirements.lock (is the package index reachable?)"
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e . \
        || give_up "pip could not install this project into .venv"
    echo "$want" >"$stamp.new" && mv "$stamp.new" "$stamp"   # last: an interrupted run starts over
}

case "${1:-all}" in
    all)  system_packages; environment ;;
    venv) environment ;;
    *)    echo "usage: $0 [all|venv]" >&2; exit 64 ;;
esac
