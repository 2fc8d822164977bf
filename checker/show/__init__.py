"""Showing: everything that a person sees: command line, panel, picture, reports."""
