# The conformance corpus: the definition, the tables, the VM and this kernel's program give the same answers.
. /lab/lib.sh
/lab/bin/agree every_engine_answers_as_expected
