# run: echo hello >$TMP/x.txt; morc data describe $TMP/x.txt; echo hello >$TMP/x.npz; morc data describe $TMP/x.npz
