"""What the DNS of this container says about a name."""

import socket
from typing import Any


def look_up(name: str) -> dict[str, Any]:
    """{"addresses", "error"}: the IPv4 addresses of a name, or in one word why there are none.

    error: "no-name" if the text cannot be a name, "no-such-host" if DNS does not know it, else the name of the error.
    """
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
        return {"addresses": sorted({str(one[4][0]) for one in found}), "error": ""}
    except UnicodeError:  # what Python says of a host that cannot be a name
        return {"addresses": [], "error": "no-name"}
    except socket.gaierror:
        return {"addresses": [], "error": "no-such-host"}
    except OSError as error:
        return {"addresses": [], "error": type(error).__name__}
