#!/bin/sh
# Puts the page together from its pieces; runs where the level is built, not where it is used.
set -e
mkdir -p www
cat src/head.html src/body.html src/foot.html > www/index.html
