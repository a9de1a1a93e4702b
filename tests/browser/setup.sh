#!/bin/sh
# Debian's chromium and a font with Hebrew letters for the browser tests. Where they cannot be
# installed (no root, no apt), the tests are skipped and say why.
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "browser tests: chromium is not here and cannot be installed without root and apt; they will be skipped"
    exit 0
fi
echo "browser tests: installing chromium"
apt-get update -qq >/dev/null 2>&1
apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null 2>&1 ||
    echo "browser tests: chromium could not be installed; they will be skipped"
