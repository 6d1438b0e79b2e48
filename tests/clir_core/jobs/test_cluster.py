"""Whether anything listens where a standing cluster should be."""

import socket

import pytest

from clir_core.jobs.cluster import knock


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "ray://127.0.0.1:{}/namespace"])
def test_an_address_where_nothing_listens_fails_at_once(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        knock(form.format(port))
    with pytest.raises(OSError, match="refused"):
        knock(form.format(port))


def test_names_that_ray_resolves_itself_are_left_to_it() -> None:
    knock("auto")
    knock("local")
