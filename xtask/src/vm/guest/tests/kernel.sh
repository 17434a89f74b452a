# The kernel's verifier takes policy objects, of every example and of 100,000 rules, and the programs answer right.
# seconds: 900
. /lab/lib.sh
/lab/bin/kernel --test-threads 1
