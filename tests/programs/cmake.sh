#!/usr/bin/env bash
# A CMake project: unpacked, configured, built and tested; rebuilt only where something changed.
set -euo pipefail
work="$1" scratch="$2"
tar -C /usr/src -cf "$scratch/googletest.tar" googletest
mkdir "$work/project"
tar -C "$work/project" -xf "$scratch/googletest.tar"
cat >"$work/project/sum_test.cc" <<'CC'
#include <gtest/gtest.h>
#include "sum.h"
TEST(Sum, Adds) { EXPECT_EQ(Sum(2, 3), EXPECTED); }
CC
echo 'inline int Sum(int a, int b) { return a + b; }' >"$work/project/sum.h"
cat >"$work/project/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.20)
project(sum CXX)
set(BUILD_GMOCK OFF)
add_subdirectory(googletest)
add_executable(sum_test sum_test.cc)
target_compile_definitions(sum_test PRIVATE EXPECTED=5)
target_link_libraries(sum_test gtest_main)
enable_testing()
add_test(NAME sum_test COMMAND sum_test)
CMAKE
export CCACHE_DISABLE=1 CXXFLAGS='-O0 -g'
build="$work/project/build"
cmake -G Ninja -S "$work/project" -B "$build" -DCMAKE_CXX_COMPILER_LAUNCHER= >"$scratch/log" || { cat "$scratch/log"; exit 1; }
cmake --build "$build" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
ctest --test-dir "$build" --output-on-failure

says() {
  cmake --build "$build" | tee "$scratch/log"
  grep -q "$1" "$scratch/log" || { echo "the build should have said: $1"; exit 1; }
}
says 'no work to do'
# Time stamps must tell what changed, at once.
touch "$work/project/sum.h"
says 'Linking CXX executable sum_test'
if grep -q gtest-all "$scratch/log"; then echo 'too much was built again'; exit 1; fi
says 'no work to do'
echo 'inline int Sum(int a, int b) { return a - b; }' >"$work/project/sum.h"
says 'Linking CXX executable sum_test'
if "$build/sum_test" >/dev/null; then echo 'the program was not built from the new header'; exit 1; fi
cmake --install "$build" --prefix "$work/installed" >/dev/null
[[ -s $work/installed/include/gtest/gtest.h ]]
cmake --build "$build" --target clean
