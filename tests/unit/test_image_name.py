"""Image names, taken apart."""

from __future__ import annotations

import pytest

from checker.model.image_name import ImageName

NAMES = {
    "guestbook": (("", "guestbook", "", ""), "guestbook:latest"),
    "guestbook:v1": (("", "guestbook", "v1", ""), "guestbook:v1"),
    "docker.io/library/redis:8": (("", "redis", "8", ""), "redis:8"),
    "docker.io/team/app": (("", "team/app", "", ""), "team/app:latest"),
    "localhost/guestbook:v1": (("localhost", "guestbook", "v1", ""), "localhost/guestbook:v1"),
    "localhost:5000/app:1": (("localhost:5000", "app", "1", ""), "localhost:5000/app:1"),
    "shop.example/a/b:2": (("shop.example", "a/b", "2", ""), "shop.example/a/b:2"),
    "team/app@sha256:ab": (("", "team/app", "", "sha256:ab"), "team/app@sha256:ab"),
    "shop.example/app:1@sha256:ab": (("shop.example", "app", "1", "sha256:ab"), "shop.example/app@sha256:ab"),
}


@pytest.mark.parametrize("written", NAMES)
def test_an_image_name_is_taken_apart(written: str) -> None:
    parts, with_tag = NAMES[written]
    found = ImageName.parse(written)
    assert (found.registry, found.repository, found.tag, found.digest) == parts
    assert found.with_tag == with_tag
    assert "/" not in found.without_path and written.endswith((found.without_path, found.digest or " "))
