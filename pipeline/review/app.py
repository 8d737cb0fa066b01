"""The review as pages: addresses, forms, and what each answers. No script runs in any of them."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from mrd_flow.revision import RevisableFlow
from pipeline.errors import NadirError, UsageError
from pipeline.model import Change, SampleKey
from pipeline.report.wording import load_wording
from pipeline.review.desk import Desk, checked_reason, checked_reviewer, now, sample_id
from pipeline.review.guard import COOKIE, HEADERS, MOST_BYTES, FormRefused, Guard
from pipeline.review.pages import Pages
from pipeline.workflow.decisions import SeenOutdated

__all__ = ["create_app"]

_SEE_OTHER, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _REFUSED, _MISDIRECTED = 303, 403, 404, 409, 422, 421


def create_app(desk: Desk, guard: Guard) -> FastAPI:
    """The application; it answers this machine only, and those who have the token.

    Parameters
    ----------
    desk
        The batch.
    guard
        The secrets of this start.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    pages = Pages(desk, guard, load_wording())

    @app.middleware("http")
    async def _admit(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        refusal = _refusal(request, guard)
        if refusal:
            answer: Response = HTMLResponse(pages.message(*refusal), status_code=refusal[0])
        else:
            answer = await call(request)
        answer.headers.update(HEADERS)
        return answer

    @app.exception_handler(NadirError)
    async def _refused(_: Request, error: NadirError) -> Response:
        code = _REFUSED
        if isinstance(error, SeenOutdated):
            code = _CONFLICT
        elif isinstance(error, FormRefused):
            code = _FORBIDDEN
        return HTMLResponse(pages.message(code, str(error)), status_code=code)

    @app.exception_handler(_NOT_FOUND)
    async def _missing(_: Request, __: Exception) -> Response:
        return HTMLResponse(pages.message(_NOT_FOUND, "there is no such page"), status_code=_NOT_FOUND)

    _add_pages(app, desk, guard, pages)
    _add_forms(app, desk, guard)
    return app


def _refusal(request: Request, guard: Guard) -> tuple[int, str] | None:
    """Why a request is not answered, or None."""
    if not guard.knows_host(request.headers.get("host", "")):
        return _MISDIRECTED, "this server answers to 127.0.0.1 only"
    if request.url.path == "/style.css":
        return None
    opening = request.method == "GET" and request.url.path == "/" and "token" in request.query_params
    given = request.query_params["token"] if opening else request.cookies.get(COOKIE, "")
    if not guard.admits(given):
        return _FORBIDDEN, "open the address that `nadir review` printed; it holds the token of this start"
    if request.method == "POST":
        if not guard.knows_origin(request.headers.get("origin", "")):
            return _FORBIDDEN, "a form of another site is not taken"
        if int(request.headers.get("content-length", "0") or 0) > MOST_BYTES:
            return _FORBIDDEN, "the form is too long"
    return None


def _add_pages(app: FastAPI, desk: Desk, guard: Guard, pages: Pages) -> None:
    @app.get("/")
    def queue(token: str = "") -> Response:
        if token:
            answer = RedirectResponse("/", status_code=_SEE_OTHER)
            answer.set_cookie(COOKIE, guard.token, httponly=True, samesite="strict")
            return answer
        return HTMLResponse(pages.queue())

    @app.get("/style.css")
    def style() -> Response:
        return Response(pages.style, media_type="text/css")

    @app.get("/patient/{patient_id}")
    def patient(patient_id: str) -> Response:
        return HTMLResponse(pages.patient(desk.look(patient_id)))

    @app.get("/patient/{patient_id}/compare")
    def compare(patient_id: str, a: str, b: str) -> Response:
        return HTMLResponse(pages.compare(desk.look(patient_id), desk.sample(a), desk.sample(b)))

    @app.get("/sample/{name}")
    def sample(name: str, tube: int = 0, gate: str = "") -> Response:
        key = desk.sample(name)
        return HTMLResponse(pages.sample(desk.look(key.patient_id), key, tube, gate))

    @app.get("/sample/{name}/tube/{tube}/gate/{gate}.svg")
    def picture(name: str, tube: int, gate: str) -> Response:
        key = desk.sample(name)
        opened = desk.opened(key)
        if not isinstance(opened, RevisableFlow):
            raise UsageError("there is no such picture")
        svg = opened.picture(key, tube, gate, desk.look(key.patient_id).changes(key))
        return Response(svg, media_type="image/svg+xml")

    @app.get("/trail")
    def trail() -> Response:
        return HTMLResponse(pages.trail())


def _add_forms(app: FastAPI, desk: Desk, guard: Guard) -> None:
    async def fields_of(request: Request) -> Mapping[str, str]:
        return guard.fields(await request.body(), request.url.path)

    def to_sample(key: SampleKey) -> Response:
        return RedirectResponse(f"/sample/{sample_id(key)}", status_code=_SEE_OTHER)

    @app.post("/sample/{name}/change")
    async def change(name: str, request: Request) -> Response:
        fields = await fields_of(request)
        key = desk.sample(name)
        made = _change(fields)
        await _in_thread(lambda: desk.change(key, made, fields.get("seen", "")))
        return to_sample(key)

    @app.post("/sample/{name}/restore")
    async def restore(name: str, request: Request) -> Response:
        fields = await fields_of(request)
        key = desk.sample(name)
        await _in_thread(lambda: desk.restore(key, fields.get("reviewer", ""), fields.get("seen", "")))
        return to_sample(key)

    @app.post("/patient/{patient_id}/sign")
    async def sign(patient_id: str, request: Request) -> Response:
        fields = await fields_of(request)
        await _in_thread(
            lambda: desk.sign(
                patient_id,
                reviewer=fields.get("reviewer", ""),
                meaning=fields.get("meaning", ""),
                seen=fields.get("seen", ""),
            )
        )
        return RedirectResponse(f"/patient/{patient_id}", status_code=_SEE_OTHER)

    @app.post("/patient/{patient_id}/withdraw")
    async def withdraw(patient_id: str, request: Request) -> Response:
        fields = await fields_of(request)
        desk.look(patient_id)
        await _in_thread(
            lambda: desk.withdraw(
                fields.get("signature", ""),
                reviewer=fields.get("reviewer", ""),
                reason=fields.get("reason", ""),
            )
        )
        return RedirectResponse(f"/patient/{patient_id}", status_code=_SEE_OTHER)


async def _in_thread(work: Callable[[], Any]) -> None:
    from fastapi.concurrency import run_in_threadpool

    await run_in_threadpool(work)


def _change(fields: Mapping[str, str]) -> Change:
    """A change from its form.

    Raises
    ------
    UsageError
        If a field is missing or wrong.
    """
    reviewer = checked_reviewer(fields.get("reviewer", ""))
    reason = checked_reason(fields.get("reason", ""))
    try:
        if fields.get("target_id"):
            return Change(reviewer=reviewer, reason=reason, made_at=now(), target_id=fields["target_id"])
        return Change(
            reviewer=reviewer,
            reason=reason,
            made_at=now(),
            tube=int(fields.get("tube", "")),
            gate=fields.get("gate", ""),
            dimension=fields.get("dimension", ""),
            low=_bound(fields.get("low", "")),
            high=_bound(fields.get("high", "")),
        )
    except ValueError as error:
        raise UsageError(f"the change cannot be read: {error}") from error


def _bound(text: str) -> float | None:
    if not text:
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a bound must be a finite number")
    return value
