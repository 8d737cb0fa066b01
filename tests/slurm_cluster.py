"""A Slurm cluster on this machine: munge, a controller and two nodes, from Debian's packages.

Nodes pose as four processors and 8 GB each. Nothing of it outlives the block that asked for it.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import descendants, is_running

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")

_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
ReturnToService=2
SlurmdTimeout=10
KillWait=3
MinJobAge=300
MaxArraySize=10001
MaxJobCount=20000
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 {nodes}
PartitionName=short Nodes=ALL Default=YES DefMemPerCPU=512 MaxTime=01:00:00 State=UP
"""

PROFILE = """\
process.executor = 'slurm'
process.queue = 'short'
executor {
    pollInterval = '1 sec'
    queueStatInterval = '2 sec'
    exitReadTimeout = '8 sec'
    retry {
        reason = 'Unable to contact slurm controller'
        delay = '2 sec'
        maxDelay = '4 sec'
        maxAttempt = 30
    }
}
params.memory_limit_mb = 700
"""
"""A site's profile for this cluster: short waits, and a cap on memory."""


class Cluster:
    """Its daemons, each a child process that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.profile = folder / "site.config"
        self.variables = {"SLURM_CONF": str(self.conf)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def write(self) -> None:
        for name in ("state", "log", "run", "spool.n1", "spool.n2"):
            (self.folder / name).mkdir(parents=True)
        controller, first, second = _free_ports()
        host = socket.gethostname().split(".")[0]
        self.conf.write_text(
            _CONF.format(
                folder=self.folder,
                host=host,
                port=controller,
                nodes=f"Port=[{first}-{second}] CPUs=4 RealMemory=8000 State=UNKNOWN",
            )
        )
        self.profile.write_text(PROFILE)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)

    def start(self) -> None:
        run, log = self.folder / "run", self.folder / "log"
        self._start(
            "munged",
            *("--force", f"--key-file={self.folder / 'munge.key'}", f"--socket={run / 'munge.socket'}"),
            *(f"--pid-file={run / 'munged.pid'}", f"--log-file={log / 'munged.log'}"),
            *(f"--seed-file={run / 'seed'}", "-F"),
        )
        wait_for(lambda: (run / "munge.socket").exists(), 20, "munge has no socket")
        self._start("slurmctld", "-D", "-c")
        for node in ("n1", "n2"):
            self.start_node(node)
        wait_for(lambda: self.nodes() == ["idle", "idle"], 60, "the nodes are not idle")

    def start_controller(self) -> None:
        """Start it again from its saved state."""
        self._start("slurmctld", "-D")

    def start_node(self, node: str) -> None:
        self._start("slurmd", "-D", "-N", node, name=node)

    def _start(self, program: str, *arguments: str, name: str = "") -> None:
        with (self.folder / "log" / f"{name or program}.out").open("ab") as out:
            self._running[name or program] = subprocess.Popen(
                [shutil.which(program) or program, *arguments],
                env={**os.environ, **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """SIGKILL to a daemon and, for a node, to every job step on it: the machine is gone."""
        process = self._running.pop(name)
        lost = {process.pid, *descendants(process.pid)}
        if name not in PROGRAMS:
            lost |= self._jobs(node=name)
        _kill(lost)
        process.wait(10)

    def _jobs(self, node: str = "") -> set[int]:
        """Processes of this cluster's jobs, and the steps above them, which are no children of a daemon."""
        here = f"SLURM_CONF={self.conf}".encode()
        there = f"SLURMD_NODENAME={node}".encode()
        found = set[int]()
        for entry in Path("/proc").iterdir():
            words = _words(entry, "environ") if entry.name.isdigit() else []
            of_a_job = here in words and any(word.startswith(b"SLURM_JOB_ID=") for word in words)
            if of_a_job and (not node or there in words):
                found |= {int(entry.name), *_step_above(entry)}
        return found

    def nodes(self) -> list[str]:
        return self.ask("sinfo", "-h", "-N", "-p", "short", "-o", "%T").split()

    def ask(self, *command: str) -> str:
        """What a Slurm command prints; nothing where the controller is away."""
        ended = subprocess.run(
            command, env={**os.environ, **self.variables}, capture_output=True, text=True, check=False
        )
        return ended.stdout

    def stop(self) -> None:
        """Take back every job, end every daemon, leave no process."""
        if "slurmctld" in self._running:
            self.ask("scancel", "--state=RUNNING,PENDING", "--user=root")
            time.sleep(1)
        family = {pid for p in self._running.values() for pid in (p.pid, *descendants(p.pid))}
        for name in ("n1", "n2", "slurmctld", "munged"):
            if name in self._running:
                self._running[name].terminate()
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        _kill({*filter(is_running, family), *self._jobs()})
        for process in self._running.values():
            process.wait(10)


@contextmanager
def cluster_in(folder: Path) -> Iterator[Cluster]:
    """A running cluster whose files lie in ``folder``."""
    folder.chmod(0o755)
    cluster = Cluster(folder)
    cluster.write()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def wait_for(is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Wait until something is so; fail with a sentence where it never gets so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


def _free_ports() -> tuple[int, int, int]:
    """Three ports that nobody uses now; Slurm's nodes need two in a row."""
    for first in range(24_000, 30_000, 3):
        try:
            with contextlib.ExitStack() as stack:
                for port in range(first, first + 3):
                    held = stack.enter_context(socket.socket())
                    held.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first, first + 1, first + 2
    raise AssertionError("no free ports")


def _step_above(process: Path) -> set[int]:
    try:
        parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return set()
    return {parent} if b"slurmstepd" in b" ".join(_words(Path(f"/proc/{parent}"), "cmdline")) else set()


def _words(process: Path, name: str) -> list[bytes]:
    """Words of a process's environment or command line; none where it is gone."""
    try:
        return (process / name).read_bytes().split(b"\0")
    except OSError:
        return []


def _kill(processes: set[int]) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
