#!/bin/sh
# Builds the fuzz targets in build/fuzz, and the seeds that they begin with.
set -eu
cmake --preset fuzz
cmake --build --preset fuzz
rm -rf build/fuzz/seeds
build/fuzz/bin/fuzz_seeds build/fuzz/seeds
