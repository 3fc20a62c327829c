import re
import subprocess
import sys
import threading
import uuid

from sms_gateway.sms.ids import new_id

NOW = 1_704_209_460_123


def _in_fresh_process(code: str) -> list[str]:
    """What the code prints; ids are counted per process, and this one's are used up already."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert not done.stderr
    return done.stdout.split()


def test_an_id_is_a_uuid_of_version_7():
    id = new_id(NOW)
    assert re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", id)
    assert uuid.UUID(id).version == 7
    assert uuid.UUID(id).variant == uuid.RFC_4122


def test_an_id_begins_with_the_time():
    (id,) = _in_fresh_process(f"from sms_gateway.sms.ids import new_id; print(new_id({NOW}))")
    assert int(id[:12], 16) == NOW


def test_ids_grow_whatever_the_clock_does():
    clock = [NOW, NOW, NOW + 1, NOW - 1000, 0, NOW + 1, NOW + 2] + [NOW] * 10_000
    ids = [new_id(now) for now in clock]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(uuid.UUID(id).version == 7 for id in ids)
    assert all(uuid.UUID(id).variant == uuid.RFC_4122 for id in ids)
    assert len({id[16:] for id in ids}) == len(ids)


def test_more_ids_than_the_counter_holds_run_ahead_of_the_clock():
    first, last = _in_fresh_process(
        "from sms_gateway.sms.ids import new_id\n"
        f"ids = [new_id({NOW}) for _ in range(4097)]\n"
        "print(ids[4095], ids[4096])"
    )
    assert (int(first[:12], 16), first[12:16]) == (NOW, "7fff")
    assert (int(last[:12], 16), last[12:16]) == (NOW + 1, "7000")


def test_threads_share_the_order():
    ids: list[list[str]] = [[] for _ in range(4)]
    start = threading.Barrier(len(ids))

    def draw(mine: list[str]) -> None:
        start.wait()
        mine.extend(new_id(NOW) for _ in range(2_000))

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine in ids:
        assert mine == sorted(mine)
    # Time and counter alone tell them apart.
    assert len({id[:16] for mine in ids for id in mine}) == 8_000


def test_a_forked_process_draws_other_ids_and_is_not_held_up():
    # The lock is held by somebody else at the moment of the fork.
    lines = _in_fresh_process(
        "import os\n"
        "from sms_gateway.sms import ids\n"
        "ids.new_id(1)\n"
        "ids._lock.acquire()\n"
        "child = os.fork()\n"
        "if child:\n"
        "    ids._lock.release()\n"
        "    os.waitpid(child, 0)\n"
        "print(*(ids.new_id(1) for _ in range(100)), flush=True)\n"
        "os._exit(0)\n"
    )
    assert len(lines) == 200
    assert len(set(lines)) == 200
    # Both went on from the same counter: only chance keeps them apart.
    assert len({id[:16] for id in lines}) == 100
