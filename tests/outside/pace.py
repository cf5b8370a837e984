"""How slow the machine is: how long a small write and its sync take, beside everything else that runs on it."""
import os
import threading
import time

PAUSE = 0.05


class Pace:
    """Samples in a file of its own in `folder` until the process ends."""

    def __init__(self, folder):
        self.samples = []
        self.file = os.open(f"{folder}/pace", os.O_WRONLY | os.O_CREAT, 0o600)
        threading.Thread(target=self._sample, daemon=True).start()

    def slowest(self, begin, end):
        """The seconds of the slowest turn that lies at least in part in that time."""
        return max((took for done, took in list(self.samples) if done >= begin and done - took <= end), default=0.0)

    def _sample(self):
        while True:
            begin = time.time()
            time.sleep(PAUSE)
            os.pwrite(self.file, b"x", 0)
            os.fsync(self.file)
            done = time.time()
            self.samples.append((done, done - begin - PAUSE))
