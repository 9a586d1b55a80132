# run: TMPDIR=$TMP/absent morc data describe ../../models/pylm-1m/eval.npz
