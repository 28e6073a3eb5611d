#!/bin/sh
# run.sh: the tests of the shell, through a real terminal where there is one to look at (tmux).
#
#     tests/shell/run.sh [WORD...]      WORD selects tests by file or name; ends with "N passed, N failed"
#
# INCSH names the program to test (default: build/incsh of this checkout).
set -eu
cd "$(dirname "$0")/../.."
exec "${INCSH:-build/incsh}" tests/shell/run.lua "$@"
