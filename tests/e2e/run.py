#!/usr/bin/env python3
"""Runs every end-to-end case: run.py [-j N] [--morc PATH] [-k REGEX] [--log FILE]"""
# Importing a module registers its cases; the long ones first, so that the last to end are short.
import cases_accuracy  # noqa: F401
import cases_calibrate  # noqa: F401
import cases_passes  # noqa: F401
import cases_crash  # noqa: F401
import cases_report  # noqa: F401
import cases_roundtrip  # noqa: F401
import cases_upgrade  # noqa: F401
import cases_gpu  # noqa: F401
import cases_models  # noqa: F401
import cases_conv  # noqa: F401
import cases_cli  # noqa: F401
import cases_data  # noqa: F401
import cases_dynamic  # noqa: F401
import cases_emit  # noqa: F401
import cases_evaluate  # noqa: F401
import cases_fold  # noqa: F401
import cases_placement  # noqa: F401
import cases_hostile  # noqa: F401
import cases_tiny  # noqa: F401
import cases_tools  # noqa: F401
import harness

if __name__ == "__main__":
    harness.main()
