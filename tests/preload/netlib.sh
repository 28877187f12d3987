#!/bin/sh
# netlib.sh XBLAT3S LIBRARY THUNK: netlib's test of the level-3 BLAS, its SGEMM made from cublasSgemm and that one run
# on our kernels. The program ends well even when it found errors, so its report is read.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > input <<'END'
'report'          NAME OF SUMMARY OUTPUT FILE
6                 UNIT NUMBER OF SUMMARY FILE
'SBLAT3.SNAP'     NAME OF SNAPSHOT OUTPUT FILE
-1                UNIT NUMBER OF SNAPSHOT FILE (NOT USED IF .LT. 0)
F        LOGICAL FLAG, T TO REWIND SNAPSHOT FILE AFTER EACH RECORD.
F        LOGICAL FLAG, T TO STOP ON FAILURES.
T        LOGICAL FLAG, T TO TEST ERROR EXITS.
16.0     THRESHOLD VALUE OF TEST RATIO
5                 NUMBER OF VALUES OF N
0 1 3 9 65        VALUES OF N
3                 NUMBER OF VALUES OF ALPHA
0.0 1.0 0.7       VALUES OF ALPHA
3                 NUMBER OF VALUES OF BETA
0.0 1.0 1.3       VALUES OF BETA
SGEMM  T PUT F FOR NO TEST. SAME COLUMNS.
SSYMM  F PUT F FOR NO TEST. SAME COLUMNS.
STRMM  F PUT F FOR NO TEST. SAME COLUMNS.
STRSM  F PUT F FOR NO TEST. SAME COLUMNS.
SSYRK  F PUT F FOR NO TEST. SAME COLUMNS.
SSYR2K F PUT F FOR NO TEST. SAME COLUMNS.
END
LD_PRELOAD="$2:$3" FASTGEMM_KERNEL=sgemm_simt_64x64x8 FASTGEMM_LOG=summary FASTGEMM_LOG_FILE=log "$1" < input > output
cat report
grep -E 'total' log
grep -q 'SGEMM  PASSED THE TESTS OF ERROR-EXITS' report
grep -q 'SGEMM  PASSED THE COMPUTATIONAL TESTS' report
if grep -qE 'FAILED|SUSPECT|\*\*\*' report; then exit 1; fi
# 9 pairs of ops, 4 sizes of m, n and k that are not 0, 2 alphas that are not 0, 3 betas.
grep -q ': 3456 routed,' log
