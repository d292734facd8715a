from flask import Flask


def test_it_answers_that_it_is_alive(app: Flask) -> None:
    assert app.test_client().get("/healthz").json == {"status": "alive"}
    assert app.test_client().get("/readyz").json == {
        "status": {"database": "ready", "broker": "ready"}
    }
