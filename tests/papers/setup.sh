#!/bin/sh
# Debian's LibreOffice, in which the tests of tests/papers/test_opened.py open the papers. It is
# large, so `make test` does not install it; where it is absent they are skipped and say why.
command -v soffice >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "LibreOffice is not here and cannot be installed without root and apt"
    exit 0
fi
echo "installing LibreOffice"
apt-get update -qq >/dev/null 2>&1
apt-get install -y -qq --no-install-recommends \
    libreoffice-impress libreoffice-writer libreoffice-calc fonts-dejavu-core >/dev/null 2>&1 ||
    echo "LibreOffice could not be installed; the tests that open papers in it will be skipped"
