"""Who may ask: foreign pages, missing tokens; and names that lead elsewhere."""

from __future__ import annotations

import asyncio
import re

import plain_http
import pytest
from labs import segment, talk, tone, tree, wav
from websockets.exceptions import InvalidStatus

PATHS = ("/api/project", "/api/clips", "/api/check", "/api/voices", "/api/nothing")


# --- who may ask ---


def test_the_page_needs_no_token_and_everything_else_does(page):
    answer = plain_http.get(page.url + "/")
    assert answer.status_code == 200
    assert page.token not in answer.text
    for path in PATHS:
        assert plain_http.get(page.url + path).status_code == 401
        for wrong in ("Bearer", "Bearer " + "x" * 32, f"Bearer {page.token[:-1]}", f"Bearer {page.token}x", page.token):
            headers = {"authorization": wrong}
            assert plain_http.get(page.url + path, headers=headers).status_code == 401
        # Neither in the address nor as a cookie.
        assert plain_http.get(f"{page.url}{path}?token={page.token}").status_code == 401
        assert plain_http.get(page.url + path, headers={"cookie": f"token={page.token}"}).status_code == 401
    assert page.ask("GET", "/api/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/api/events", "/api/record?class=yes"])
def test_a_websocket_needs_the_token(page, path):
    async def refused(**more) -> int:
        with pytest.raises(InvalidStatus) as caught:
            async with page.socket(path, **more):
                pass
        return caught.value.response.status_code

    async def attack():
        assert await refused(token="x" * 32) == 401
        assert await refused(token="") == 401
        assert await refused(additional_headers={"host": "evil.example"}) in (400, 421)
        assert await refused(origin="http://evil.example") == 403
        async with page.socket(path, origin=page.url) as client:
            assert client.subprotocol == "audioconv"

    asyncio.run(attack())


@pytest.mark.parametrize("path", ["/", "/api/project"])
def test_other_hosts_and_origins_are_refused(page, path):
    for host in ("evil.example", "evil.example:8765", "localhost.evil.example", "127.0.0.1@evil.example", ""):
        assert page.ask("GET", path, headers={"host": host}).status_code in (400, 421)
    for origin in ("http://evil.example", "null", "https://127.0.0.1.evil.example", "http://127.0.0.1:1"):
        assert page.ask("GET", path, headers={"origin": origin}).status_code == 403
    for site in ("cross-site", "same-site"):
        assert page.ask("GET", path, headers={"sec-fetch-site": site}).status_code == 403
    assert page.ask("GET", path, headers={"origin": page.url, "host": f"localhost:{page.port}"}).status_code == 403
    assert page.ask("GET", path, headers={"origin": page.url}).status_code == 200


def test_a_link_elsewhere_opens_the_page_and_nothing_else(page):
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert page.ask("GET", "/", headers=link).status_code == 200
    assert page.ask("GET", "/", headers={**link, "sec-fetch-dest": "iframe"}).status_code == 403
    assert page.ask("GET", "/", headers={**link, "sec-fetch-mode": "no-cors"}).status_code == 403
    assert page.ask("GET", "/api/project", headers=link).status_code == 403


def test_answers_forbid_scripts_and_frames_of_others(page):
    for answer in (page.ask("GET", "/"), page.ask("GET", "/api/project"), page.ask("GET", "/api/nothing"),
                   plain_http.get(page.url + "/api/project")):  # fmt: skip
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    assert page.ask("OPTIONS", "/api/project", headers={"origin": "http://evil.example"}).status_code == 403


# --- names ---

TRAVERSALS = (
    "../secret.wav", "..%2Fsecret.wav", "%2e%2e%2fsecret.wav", "yes/../../secret.wav", "/etc/passwd", "%2Fetc%2Fpasswd",
    "yes%2F..%2F..%2Fsecret.wav", "..%5Csecret.wav", "yes/1.flac%00.wav", ".lab/left-out.txt",
    "%252e%252e%252fsecret.wav", "file:///etc/passwd", "manifest.csv",
)  # fmt: skip


def test_no_name_leads_out_of_the_folder(page):
    secret = page.folder.parent / "secret.wav"
    secret.write_bytes(wav(tone(440)))
    page.upload("yes", "1.wav", wav(tone(440)))
    before = tree(page.folder.parent)
    for name in TRAVERSALS:
        for path in (f"/api/clips/{name}", f"/api/clips/{name}/audio", f"/api/clips/{name}/picture", f"/{name}"):
            for method in ("GET", "PATCH", "DELETE"):
                head = f"{method} {path} HTTP/1.1\nHost: 127.0.0.1:{page.port}\nAuthorization: Bearer {page.token}\n"
                answer = talk(page, head + "Content-Length: 2\nConnection: close\n", b"{}")
                assert re.match(rb"HTTP/1\.1 (400|404|405) ", answer), (method, path, answer[:200])
    for ids in (["../secret.wav"], [str(secret)], ["yes/../../secret.wav"], [7], "yes", [None], {}):
        for path, more in (("move", {"class": "no"}), ("delete", {}), ("speaker", {"speaker": "x"})):
            answer = page.ask("POST", f"/api/clips/{path}", json={"ids": ids, **more})
            assert answer.status_code in (400, 404), answer.text
    assert tree(page.folder.parent) == before


def test_uploads_and_classes_stay_in_the_folder(page):
    outside = tree(page.folder.parent) - {f"project/{name}" for name in tree(page.folder)}
    for name in ("../../evil.wav", "..\\..\\evil.wav", "/tmp/evil.wav", "C:\\evil.wav", "a/../../evil.wav", "..x..wav",
                 "con.wav", "x" * 300 + ".wav", "\u202egnp.wav", "a\x00b.wav", ".htaccess.wav", "-rf.wav"):  # fmt: skip
        (clip,) = page.upload("yes", name, wav(tone(440)))["clips"]
        path = page.folder / clip["id"]
        assert path.parent == page.folder / "yes"
        assert re.fullmatch(r"[\w-]+\.flac", path.name), path.name
        assert path.is_file()
    for label in ("../evil", "..", "a/b", ".lab", "models", "x" * 500, "", "a\x00b"):
        answer = page.ask("POST", "/api/clips", params={"class": label, "name": "1.wav"}, content=wav(tone(440)))
        assert answer.status_code == 400, answer.text
        assert page.ask("POST", "/api/classes", json={"name": label}).status_code == 400
        assert page.ask("PATCH", "/api/classes/yes", json={"name": label}).status_code == 400
        clip = page.clips("yes")[0]["id"]
        assert page.ask("PATCH", f"/api/clips/{segment(clip)}", json={"class": label}).status_code == 400
    assert tree(page.folder.parent) - {f"project/{name}" for name in tree(page.folder)} == outside
    assert {path.name for path in page.folder.iterdir()} == {".lab", "manifest.csv", "yes"}


def test_links_in_the_folder_are_not_followed_by_changes(page):
    outside = page.folder.parent / "outside"
    outside.mkdir()
    (outside / "1.wav").write_bytes(wav(tone(440)))
    try:
        (page.folder / "linked").symlink_to(outside)
    except OSError:
        pytest.skip("symbolic links")
    page.post("/api/classes", name="other")
    page.ask("DELETE", "/api/classes/linked")
    assert (outside / "1.wav").is_file()
    assert page.post("/api/undo") == {"undone": "deleted the class linked"}
    assert (page.folder / "linked").is_symlink()


def test_html_in_names_is_data(page):
    """Names that others gave to folders and files come as JSON, whose media type no browser shows as a page."""
    evil = "<img src=x onerror=alert(1)>"
    (page.folder / evil).mkdir()
    (page.folder / evil / f"{evil}.wav").write_bytes(wav(tone(440)))
    page.post("/api/classes", name="other")
    about = page.ask("GET", "/api/project")
    assert about.headers["content-type"] == "application/json"
    assert [one["name"] for one in about.json()["classes"]] == [evil, "other"]
    assert [clip["id"] for clip in page.clips(evil)] == [f"{evil}/{evil}.wav"]
    assert page.ask("GET", f"/api/clips/{segment(f'{evil}/{evil}.wav')}/picture").headers["content-type"] == "image/png"
    assert page.ask("POST", "/api/classes", json={"name": "<b>"}).status_code == 400
    page.upload("other", "1.wav", wav(tone(440)), speaker=evil)
    assert page.clips("other")[0]["speaker"] == evil
