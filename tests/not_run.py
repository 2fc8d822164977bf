"""What `make test` did not do, and how to do it: its last words."""

from __future__ import annotations

from tests.proof.subjects import all_subjects


def main() -> None:
    subjects = all_subjects()
    drafts = sorted({subject.group for subject in subjects if subject.draft})
    print(
        "Not done here, as it needs a container engine: `make smoke` (one cluster, a handful of cases), "
        "`make prove` (every case)."
    )
    print(
        f"Drafts, of which no proof was asked: {', '.join(drafts) or 'none'}."
        + (f" To prove one: make prove {drafts[0].upper().replace(' ', '=')}" if drafts else "")
    )


if __name__ == "__main__":
    main()
