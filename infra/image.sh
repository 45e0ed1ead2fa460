#!/bin/sh
# Lays the static binaries out as the Dockerfile copies them: build/image/PROCESSOR/rollcall, of those that are built.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/image/data
touch build/image/data/.keep
for pair in x86_64:amd64 aarch64:arm64; do
	binary=build/cli/${pair%:*}-unknown-linux-musl/rollcall
	[ -f "$binary" ] || continue
	mkdir -p "build/image/${pair#*:}"
	cp "$binary" "build/image/${pair#*:}/rollcall"
	chmod 755 "build/image/${pair#*:}/rollcall"
done
