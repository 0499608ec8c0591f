"""What a user does with a server.

Each returns what was seen where that is what a user would want, raises `Limited` where it is all
that this server can do, and `Missed` where it is neither.
"""

import asyncio
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from servers import engine
from servers.between import image
from servers.stage import Limited, Missed, Stage

REFUSED_SECONDS_MAX = 200.0
"""How long a refusal may be hidden with default settings, and a little more."""
FORGOTTEN_SECONDS_MAX = 60.0
LOST_SECONDS_MAX = 150.0
"""The default settle time, twice and a little more."""
CREATES_MAX = 4
BUSY_SECONDS_MAX = 40.0
TWENTY_SECONDS_MAX = 300.0


async def doctor(stage: Stage) -> str:
    code, told = await stage.gateway.doctor()
    if code != 0:
        raise Missed(f"exit {code}: {told}")
    return told


async def text(stage: Stage) -> str:
    job_id = await stage.submit("Text alone")
    await stage.gateway.completed(job_id)
    await _downloaded(stage, job_id)
    await _told(stage, job_id)
    stage.finished = job_id
    return "completed, told and downloaded"


async def image_as_data(stage: Stage) -> str:
    uri = f"data:image/png;base64,{b64encode(image()).decode()}"
    return await _image(stage, "Image as data", uri)


async def image_by_url(stage: Stage) -> str:
    return await _image(stage, "Image by URL", f"{stage.around.url}/fox.png")


async def options(stage: Stage) -> str:
    given = {"num_inference_steps": 7, "guidance_scale": 3.5}
    job_id = await stage.submit("With options", seed=5, providerOptions=given)
    asked = await stage.asked("With options")
    await stage.gateway.completed(job_id)
    wanted = {"seed": 5, **given}
    told = stage.server.told_options
    missing = [name for name in told if asked.get(name) != wanted[name]]
    if missing:
        raise Missed(f"did not reach the engine: {', '.join(missing)}")
    if not told:
        raise Limited("completed without them")
    return f"{', '.join(told)} reached the engine"


async def default_model(stage: Stage) -> str:
    job_id = await stage.submit("Without a model", model=None)
    job = await stage.gateway.completed(job_id)
    return f"completed as {job['model']}"


async def no_seconds(stage: Stage) -> str:
    job_id = await stage.submit("Without seconds", seconds=None)
    asked = await stage.asked("Without seconds")
    await stage.gateway.completed(job_id)
    frames = asked.get("num_frames")
    if frames == 1:
        raise Missed("the engine was asked for 1 frame")
    return f"{frames or 'its own number of'} frames"


async def progress(stage: Stage) -> str:
    job_id = await stage.submit("SLOW progress")
    seen: list[tuple[str, int]] = []

    def ended(job: Any) -> bool:
        one = (job["status"], job["progress"])
        if one not in seen:
            seen.append(one)
        return bool(job["status"] == "completed")

    await stage.gateway.until(job_id, ended)
    between = [percent for status, percent in seen if status == "processing"]
    words = ", ".join(f"{status} {percent}" for status, percent in seen)
    if not between:
        raise (Limited if "progress" in stage.server.limits else Missed)(words)
    if stage.server.tells_percents and not any(0 < one < 100 for one in between):
        raise Missed(words)
    return words


async def failure(stage: Stage) -> str:
    job_id = await stage.submit("BREAK it")
    began = time.monotonic()
    job = await stage.gateway.until(job_id, lambda job: job["status"] == "failed", 30)
    if engine.WORDS not in job["error"]:
        raise Missed(f"in other words: {job['error']}")
    return f"{job['code']} after {time.monotonic() - began:.0f} s, in the engine's words"


async def busy(stage: Stage) -> str:
    before = sum(stage.proxy.creates.values())
    began = time.monotonic()
    first = await stage.submit("SLOW busy")
    await stage.asked("SLOW busy")
    second = await stage.submit("Busy meanwhile")
    await stage.gateway.completed(first)
    await stage.gateway.completed(second, BUSY_SECONDS_MAX)
    creates = sum(stage.proxy.creates.values()) - before
    return f"both after {time.monotonic() - began:.0f} s, {creates} creates"


async def twenty_at_once(stage: Stage) -> str:
    began = time.monotonic()
    jobs = [await stage.submit(f"Twenty {number:02}") for number in range(20)]
    await asyncio.gather(*(stage.gateway.completed(job_id, TWENTY_SECONDS_MAX) for job_id in jobs))
    renders = len(stage.running.asked("Twenty"))
    if renders != 20:
        raise Missed(f"{renders} renders for 20 jobs")
    if (together := stage.running.at_once("Twenty")) > 1:
        raise Missed(f"{together} renders at once on one GPU")
    return f"20 renders, one after the other, after {time.monotonic() - began:.0f} s"


async def cancel(stage: Stage) -> str:
    job_id = await stage.submit("SLOW cancel")
    await stage.asked("SLOW cancel")
    status, told = await stage.gateway.call("POST", f"/api/jobs/{job_id}/cancel")
    if status != 200:
        if "cancel" in stage.server.limits and told.get("code") == "not_cancelable":
            raise Limited(f"{status} {told['code']}")
        raise Missed(f"{status}: {told}")
    await asyncio.sleep(1.5 * engine.seconds("SLOW"))
    stopped = not stage.running.ended("SLOW cancel")
    if told.get("stopped", True) is not stopped:
        raise Missed(f"canceled, stopped {told.get('stopped')}, and the engine stopped: {stopped}")
    if not stopped:
        raise Limited("canceled, and the response says that it was not stopped")
    return "canceled, and the engine stopped"


async def lost_alone(stage: Stage) -> str:
    return await _lost(stage, "Lost alone")


async def lost_among_others(stage: Stage) -> str:
    others = [await stage.submit(f"Beside {number}") for number in range(3)]
    try:
        return await _lost(stage, "Lost among others")
    finally:
        for other in others:
            await stage.gateway.completed(other, LOST_SECONDS_MAX)


async def restart(stage: Stage) -> str:
    job_id = await stage.submit("SLOW restart")
    await stage.asked("SLOW restart")
    await stage.gateway.until(job_id, lambda job: job["soraJobId"])
    await stage.running.kill()
    await stage.running.start()
    began = time.monotonic()
    try:
        job = await stage.gateway.until(
            job_id, lambda job: job["status"] == "failed", FORGOTTEN_SECONDS_MAX
        )
    except Missed as missed:
        if "restart in the middle" not in stage.server.limits:
            raise
        raise Limited(str(missed)) from None
    return f"failed after {time.monotonic() - began:.0f} s: {job['error']}"


async def file_after_a_restart(stage: Stage) -> str:
    """None of these servers knows its files again, so the archive must have it."""
    if stage.finished is None:
        stage.finished = await stage.submit("Before a restart")
        await stage.gateway.completed(stage.finished)
        await stage.running.kill()
        await stage.running.start()
    path = f"/api/sora/videos/{stage.finished}/download"
    status, told = await stage.gateway.call("GET", path)
    if not isinstance(told, dict):
        return str(status)
    raise Missed(f"{status} {told.get('code')}: {told.get('error')}")


async def ranges(stage: Stage) -> str:
    job_id = await stage.submit("For ranges")
    await stage.gateway.completed(job_id)
    path = f"/api/sora/videos/{job_id}/download"
    status, part = await stage.gateway.call("GET", path, headers={"Range": "bytes=4-7"})
    if (status, part) != (206, b"ftyp"):
        raise Missed(f"{status}, {len(part)} bytes for 4")
    return "206"


async def engine_dead(stage: Stage) -> str:
    """The last of a server's scenarios, since it does not recover."""
    stage.running.lose_engine()
    before = sum(stage.proxy.creates.values())
    began = time.monotonic()
    job_id = await stage.submit("Engine dead")
    job = await stage.gateway.until(
        job_id,
        lambda job: job["status"] == "failed" or (stage.running.has_ended and job.get("waiting")),
        REFUSED_SECONDS_MAX,
    )
    if job["status"] != "failed":
        return f"the server has ended itself, and the job waits: {job['waiting']['lastResponse']}"
    creates = sum(stage.proxy.creates.values()) - before
    if creates > CREATES_MAX:
        raise Missed(f"{creates} creates")
    words = f"{job['code']} after {time.monotonic() - began:.0f} s, {creates} creates"
    if stage.server.dead_words not in job["error"]:
        raise Missed(f"{words}, in other words: {job['error']}")
    return f"{words}: {job['error']}"


Scenario = Callable[[Stage], Awaitable[str]]
SCENARIOS: Mapping[str, Scenario] = {
    "doctor": doctor,
    "text": text,
    "image by URL": image_by_url,
    "image as data": image_as_data,
    "options": options,
    "default model": default_model,
    "no seconds": no_seconds,
    "progress": progress,
    "failure": failure,
    "ranges": ranges,
    "busy": busy,
    "20 at once": twenty_at_once,
    "cancel": cancel,
    "lost create alone": lost_alone,
    "lost create among others": lost_among_others,
    "restart in the middle": restart,
    "file after a restart": file_after_a_restart,
    "engine dead": engine_dead,
}
"""In this order; the last three leave a server behind that others could not use."""
OF_IMAGES = ("image by URL", "image as data")


async def _downloaded(stage: Stage, job_id: str) -> None:
    status, video = await stage.gateway.call("GET", f"/api/sora/videos/{job_id}/download")
    if status != 200 or video[4:8] != b"ftyp":
        raise Missed(f"the download is {status}: {video[:80]!r}")


async def _told(stage: Stage, job_id: str) -> None:
    for _ in range(50):
        told = [one["status"] for one in stage.around.webhooks if one["jobId"] == job_id]
        if told and told[-1] == "completed":
            return
        await asyncio.sleep(0.1)
    raise Missed(f"the webhooks were {told}")


async def _image(stage: Stage, script: str, image: str) -> str:
    job_id = await stage.submit(script, image=image)
    await stage.gateway.until(job_id, lambda _: stage.running.asked(script))
    if not stage.running.asked(script)[0].get("image"):
        raise Missed("rendered without the image")
    await stage.gateway.completed(job_id)
    return "reached the engine"


async def _lost(stage: Stage, script: str) -> str:
    stage.proxy.lose = script
    began = time.monotonic()
    job_id = await stage.submit(script)
    try:
        await stage.gateway.completed(job_id, LOST_SECONDS_MAX)
    except Missed as missed:
        _paid_once(stage, script)
        if "submission_unknown" in str(missed) and "lost create alone" in stage.server.limits:
            raise Limited(str(missed)) from None
        raise
    _paid_once(stage, script)
    return f"found, completed after {time.monotonic() - began:.0f} s"


def _paid_once(stage: Stage, script: str) -> None:
    renders = len(stage.running.asked(script))
    if renders > 1:
        raise Missed(f"PAID {renders} TIMES")
