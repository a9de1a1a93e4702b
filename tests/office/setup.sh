#!/bin/sh
# Debian's LibreOffice and its Python bridge for the tests of workbooks, slides and Word documents
# that people open. Where they cannot be installed (no root, no apt), the tests are skipped and say
# why.
command -v localc >/dev/null 2>&1 && command -v loimpress >/dev/null 2>&1 &&
    command -v lowriter >/dev/null 2>&1 && /usr/bin/python3 -c "import uno" 2>/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "office tests: LibreOffice is not here and cannot be installed without root and apt; they will be skipped"
    exit 0
fi
echo "office tests: installing LibreOffice"
apt-get update -qq >/dev/null 2>&1
apt-get install -y -qq --no-install-recommends libreoffice-calc \
    libreoffice-impress libreoffice-writer python3-uno >/dev/null 2>&1 ||
    echo "office tests: LibreOffice could not be installed; they will be skipped"
