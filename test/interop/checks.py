"""What the two Python programs share: a list of checks, each printed as it ends."""
import sys
import time
import traceback

bootstrap, tag = sys.argv[1], sys.argv[2]
checks = []


def check(function):
    """Registers a function whose doc string is the name of the check."""
    checks.append(function)
    return function


def until(what, ask, seconds=20):
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(what + " was not seen")
        time.sleep(0.1)


def equal(actual, expected):
    if actual != expected:
        raise AssertionError("%r, expected %r" % (actual, expected))


def run_all():
    for function in checks:
        try:
            function()
            print("pass " + function.__doc__, flush=True)
        except Exception:
            print("fail %s: %s" % (function.__doc__, traceback.format_exc().replace("\n", "\\n")), flush=True)
    print("end", flush=True)
