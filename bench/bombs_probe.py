"""Another client: asks for jobs all the time, and tells on demand how long that took at worst."""

import http.client
import json
import sys
import threading
import time

PAUSE_SECONDS = 0.02


def main() -> None:
    port, key = int(sys.argv[1]), sys.argv[2]
    took: list[float] = []
    failed: list[str] = []
    waits_since: float | None = None

    def ask() -> None:
        nonlocal waits_since
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while True:
            waits_since = started = time.monotonic()
            try:
                connection.request(
                    "GET", "/api/jobs?limit=1", headers={"Authorization": f"Bearer {key}"}
                )
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    failed.append(str(answer.status))
            except (OSError, http.client.HTTPException) as error:
                failed.append(type(error).__name__)
                connection.close()
            took.append(time.monotonic() - started)
            waits_since = None
            time.sleep(PAUSE_SECONDS)

    threading.Thread(target=ask, daemon=True).start()
    print(json.dumps({"ports": [port]}), flush=True)
    for _ in sys.stdin:
        since = waits_since  # the thread may end it at any moment
        waits = 0.0 if since is None else time.monotonic() - since
        told = {"worst_ms": max([*took, waits]) * 1000, "asked": len(took), "failed": failed}
        print(json.dumps(told), flush=True)
        took.clear()
        failed.clear()


if __name__ == "__main__":
    main()
