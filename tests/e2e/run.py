#!/usr/bin/env python3
"""Runs every end-to-end case: run.py [-j N] [--morc PATH] [-k REGEX] [--log FILE]"""
import cases_tools  # noqa: F401 (importing registers the cases)
import harness

if __name__ == "__main__":
    harness.main()
