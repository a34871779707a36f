"""A container instance that boots in about two seconds, beside a cloud of its own, in namespaces of their own.

The machine is Debian with the real systemd as PID 1 (systemd-nspawn) and the real Docker. Beside it runs the rehearsal double: instance
metadata at its true addresses, STS and S3 under their true names. `isolate()` moves the caller into own mount, network and PID
namespaces first, so whatever ends the caller ends all of it, and the host's network and firewall are out of reach.

    isolate()
    with Cloud() as cloud, Machine("web") as machine:   # a fresh disk over the cached Debian
        machine.boot()
        machine.run("systemctl is-active docker")
        machine.reboot()

Needs root and the Debian packages listed in `packages`, which `tools()` installs by name. Touches `target/boot` (the cached Debian, 0.5 GB, and
the machines' disks while they live) and one cgroup per machine, removed with it.
"""

import atexit
import contextlib
import fcntl
import hashlib
import io
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "support"))

import rehearsal
from rehearsal import Rehearsal

CACHE = HERE.parent.parent / "target" / "boot"
RUN = CACHE / f"run-{os.environ.get('LAB_PID', os.getpid())}"

TOOLS = [line.split() for line in (HERE / "packages").read_text().splitlines() if not line.startswith("#")]
# The Debian that is booted. What only one release has, or only one needs, is added there.
SUITE = os.environ.get("LAB_SUITE", "bookworm")
PACKAGES = """systemd-sysv dbus udev iproute2 iptables nftables docker.io curl ca-certificates kmod procps cloud-init sudo
    rpm python3-apt""".split() + {"bullseye": [], "bookworm": ["ansible-core"], "trixie": ["docker-cli"]}[SUITE]
REGION, BUCKET, GATEWAY, INSTANCE = "us-west-2", "my-ecs-config", "10.213.0.1", "i-1234567890abcdef0"
# Those that agent/amazon-ssm-agent writes, too.
CREDENTIALS = {"AccessKeyId": "ASIABOOTLABORATORY00", "SecretAccessKey": "boot-laboratory", "SessionToken": "boot-laboratory-session-token"}
PUBLIC = ("my-artifacts", "amazon-ecs-agent")
BUCKETS = (BUCKET, "ecs-config-123456789012", *PUBLIC)
SERVICES = ("sts", "s3", "ssm", "secretsmanager", "ecs", "api.ecr", "ecs-a-1", "ecs-t-1")
NAMES = [f"{name}.{REGION}.amazonaws.com" for name in (*SERVICES, *(f"{bucket}.s3" for bucket in BUCKETS))] + ["amazon-ecs-agent.s3.amazonaws.com"]
QUIET = """apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
    getty@tty1.service console-getty.service systemd-timesyncd.service""".split()
NETWORK = f"""[Match]
Name=ens5
[Network]
Address=10.213.0.10/24
Address=fd00:b007::10/64
Gateway={GATEWAY}
Gateway=fd00:b007::1
IPv6AcceptRA=no
IPv6DuplicateAddressDetection=0
[Route]
Destination=169.254.169.254/32
Scope=link
"""
# A container of nothing but links into the machine's own /usr: no registry is needed, and curl and sh work in it.
CONTAINER = """#!/bin/sh
docker image inspect lab >/dev/null 2>&1 || docker import /usr/local/lib/lab.tar lab >/dev/null || exit 125
exec docker run --rm --volume /usr:/usr:ro "$@"
"""
# nspawn's boot id is a bind mount that a unit with an own /proc does not see before systemd 257: put there again.
SEES_BOOT_ID = "" if SUITE == "trixie" else "BindReadOnlyPaths=/run/boot-id:/proc/sys/kernel/random/boot_id\n"
AUTHORITY = "AWS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sh(*command, **options):
    """Runs a command on this side and returns what it printed, which is also in the exception when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(map(str, command))}: exit status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def wait_for(what, fact, seconds=30):
    """Waits for a fact, and returns it; the exception names what did not happen."""
    end = time.monotonic() + seconds
    while not (found := fact()):
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.05)
    return found


def tools():
    """Installs the tools that are missing, by their Debian names, and builds the double."""
    rehearsal.binary()
    missing = [package for package, program in TOOLS if not shutil.which(program)]
    if missing:
        sh("apt-get", "update", "-qq")
        sh("apt-get", "install", "-qq", "--yes", "--no-install-recommends", *missing)


def isolate():
    """Starts the caller anew in own mount, network and PID namespaces, which the kernel ends with it, however it ends."""
    if "LAB_PID" not in os.environ:
        sweep()
        os.environ["LAB_PID"] = str(os.getpid())
        unshare = "unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private --".split()
        os.execvp("unshare", [*unshare, sys.executable, *sys.argv])
    RUN.mkdir(parents=True)
    atexit.register(shutil.rmtree, RUN)
    Path("/run/netns").mkdir(exist_ok=True)
    sh("mount", "-t", "tmpfs", "lab", "/run/netns")


def sweep():
    """Removes disks and cgroups of labs that were killed: those whose process is gone."""
    for folder in CACHE.glob("run-*"):
        pid = folder.name.removeprefix("run-")
        if not Path("/proc", pid).exists():
            sh("rm", "-rf", "--one-file-system", folder)
            remove_cgroups(f"boot-{pid}-*")


def cgroup_roots():
    """The hierarchies that systemd uses: the unified one, or the two of a hybrid host."""
    roots = [Path("/sys/fs/cgroup", name) for name in ("systemd", "unified", "")]
    return [root for root in roots if (root / "cgroup.procs").exists()]


def remove_cgroups(pattern):
    for root in cgroup_roots():
        for top in root.glob(pattern):
            for folder in sorted(filter(Path.is_dir, [top, *top.rglob("*")]), key=lambda f: -len(f.parts)):
                folder.rmdir()


def debian():
    """The cached Debian, made once for one release and list of packages."""
    key = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    root = CACHE / f"{SUITE}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            sh("rm", "-rf", "--one-file-system", f"{root}.new")
            # One /usr, as Debian's installer and cloud images have had since 10.
            merged = 'for part in bin sbin lib lib64; do mkdir -p "$1/usr/$part" && ln -s "usr/$part" "$1/$part"; done'
            sh("mmdebstrap", "--variant=minbase", f"--setup-hook={merged}", f"--include={','.join(PACKAGES)}", "--aptopt=Acquire::Languages \"none\"",
               "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*", SUITE, f"{root}.new")
            Path(f"{root}.new").rename(root)
    return root


class Cloud:
    """The rehearsal double in a namespace of its own: metadata at its true addresses, AWS's services under their true names."""

    def __init__(self, instance=INSTANCE):
        self.folder = RUN / "cloud"
        self.folder.mkdir(parents=True)
        addresses = ["--imds", "169.254.169.254:80", "--imds", "[fd00:ec2::254]:80", "--aws", f"{GATEWAY}:443"]
        # Two hops reach a container behind a bridge, as EC2 allows by default.
        host = ["--instance-id", instance, "--region", REGION, "--hop-limit", "2"]
        options = [*addresses, *host, "--ca", str(self.folder / "ca.pem")]
        self.double = Rehearsal(*options, credentials=CREDENTIALS, enter=["ip", "netns", "exec", "cloud"])

    def put(self, key, content, bucket=BUCKET):
        file = self.folder / "object"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.double.command("object", bucket, key, file)

    def keep(self, kind, name, value):
        """A new version of a `parameter` of Parameter Store, or of a `secret` of Secrets Manager."""
        file = self.folder / "value"
        file.write_text(value)
        self.double.command(kind, name, file)

    def open_to_all(self, prefix):
        """Anybody may read the objects whose names begin with this `BUCKET/KEY`."""
        self.double.command("public", *prefix.split("/", 1))

    def refuses(self):
        """From now on the role may not read the bucket."""
        self.double.command("clear-faults")
        self.double.command("readable", BUCKET, "no")

    def is_down(self):
        """From now on S3 answers 503."""
        self.double.command("fault", "s3-throttle-forever")

    def recovers(self):
        self.double.command("readable", BUCKET, "yes")
        self.double.command("clear-faults")

    def requests(self):
        """Every request so far, oldest first."""
        return self.double.requests()

    def __enter__(self):
        sh("ip", "netns", "add", "cloud")
        sh("ip", "-n", "cloud", "link", "set", "lo", "up")
        for address in (f"{GATEWAY}/32", "169.254.169.254/32", "fd00:ec2::254/128"):
            # An IPv6 address is tentative for a moment even here, and cannot be listened on until then.
            sh("ip", "-n", "cloud", "addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        self.double.__enter__()
        for bucket in PUBLIC:
            self.open_to_all(f"{bucket}/")
        return self

    def __exit__(self, *exception):
        self.double.__exit__(*exception)
        sh("ip", "netns", "del", "cloud")
        shutil.rmtree(self.folder)


class Machine:
    """One container instance: a disk, and while it is on, a systemd as PID 1."""

    def __init__(self, name):
        self.name, self.id = name, f"boot-{os.environ['LAB_PID']}-{name}"
        self.folder, self.root, self.nspawn = RUN / name, RUN / name / "root", None
        for part in ("upper", "work", "root", "docker", "containerd"):
            (self.folder / part).mkdir(parents=True)
        layers = f"lowerdir={debian()},upperdir={self.folder}/upper,workdir={self.folder}/work"
        sh("mount", "-t", "overlay", self.id, "-o", layers, self.root)
        # A node of its own: the machine's udev would change the mode of the host's.
        os.mknod(self.folder / "tun", 0o600 | stat.S_IFCHR, os.makedev(10, 200))
        self.customise()

    def write(self, path, content, mode=0o644):
        """Writes a file of the machine, on or off."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)

    def read(self, path):
        return (self.root / path.lstrip("/")).read_text()

    def customise(self):
        """Makes a plain Debian a machine of the laboratory: network, names, the cloud's authority, no timers."""
        self.write("/etc/hostname", self.name)
        self.write("/etc/hosts", f"127.0.0.1 localhost {self.name}\n{GATEWAY} {' '.join(NAMES)}\n")
        self.write("/etc/machine-id", "")
        self.write("/etc/resolv.conf", "")
        self.write("/etc/cloud/cloud-init.disabled", "")
        self.write("/etc/systemd/network/10-ens5.network", NETWORK)
        # For SEES_BOOT_ID.
        self.write("/etc/tmpfiles.d/boot-id.conf", "C /run/boot-id - - - - /proc/sys/kernel/random/boot_id\n")
        self.write("/usr/local/bin/container", CONTAINER, 0o755)
        self.write("/var/log/journal/.keep", "")
        with open(self.root / "etc/ssl/certs/ca-certificates.crt", "a") as bundle:
            bundle.write((RUN / "cloud/ca.pem").read_text())
        with tarfile.open(self.root / "usr/local/lib/lab.tar", "w") as image:
            for name in ("bin", "sbin", "lib", "lib64"):
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
                image.addfile(link)
            passwd = b"root:x:0:0:root:/:/bin/sh\n"
            entry = tarfile.TarInfo("etc/passwd")
            entry.size = len(passwd)
            image.addfile(entry, io.BytesIO(passwd))
        sh("systemctl", f"--root={self.root}", "--quiet", "enable", "systemd-networkd", "systemd-networkd-wait-online")
        sh("systemctl", f"--root={self.root}", "--quiet", "mask", *QUIET)

    # --- on and off -----------------------------------------------------------------------------------------------------------------

    def cable(self):
        """A new network namespace, so that no rule outlives a boot, as on real hardware."""
        sh("ip", "netns", "add", self.name)
        sh("ip", "-n", "cloud", "link", "add", self.name, "type", "veth", "peer", "name", "ens5", "netns", self.name)
        sh("ip", "-n", "cloud", "link", "set", self.name, "up")
        sh("ip", "-n", "cloud", "addr", "add", f"{GATEWAY}/24", "dev", self.name)
        sh("ip", "-n", "cloud", "addr", "add", "fd00:b007::1/64", "dev", self.name, "nodad")

    def spawn(self):
        # Every setting is needed: UNIFIED_HIERARCHY gives a pure cgroup v2 tree also on a hybrid host, API_VFS_WRITABLE lets dockerd
        # set net.* sysctls, CAP_NET_ADMIN is dropped when the namespace comes by path, dockerd and runc call keyctl and bpf. An own
        # cgroup, because nspawn would otherwise share one with all others that were started from here.
        def into_own_cgroup():
            for root in cgroup_roots():
                (root / self.id).mkdir(exist_ok=True)
                (root / self.id / "cgroup.procs").write_text(str(os.getpid()))

        variables = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
        with open(self.folder / "console", "a") as console:
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--boot", "--settings=no", "--register=no", "--keep-unit", f"--machine={self.id[:60]}",
                 f"--directory={self.root}", "--console=pipe", f"--network-namespace-path=/run/netns/{self.name}",
                 "--capability=CAP_NET_ADMIN", "--system-call-filter=add_key keyctl bpf", "--resolv-conf=off", "--timezone=off",
                 "--link-journal=no", f"--bind={self.folder}/tun:/dev/net/tun", f"--bind={self.folder}/docker:/var/lib/docker",
                 f"--bind={self.folder}/containerd:/var/lib/containerd"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=variables, preexec_fn=into_own_cgroup)

    def leader(self):
        """The machine's PID 1 as this side numbers it."""
        children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        return children.read_text().split()[0:1] if self.nspawn.poll() is None else None

    def boot(self, until=None):
        """Boots and waits for a fact, or else until all jobs are done; returns it, or systemd's state: running, or degraded."""
        self.cable()
        self.spawn()
        wait_for("PID 1", self.leader)
        return wait_for("the boot", until or self.settled, 60)

    def settled(self):
        if self.nspawn.poll() is not None:
            raise RuntimeError("the machine went off while booting:\n" + (self.folder / "console").read_text()[-3000:])
        state = self.try_run("systemctl is-system-running")[1].strip()
        return state if state in ("running", "degraded") else None

    def off(self):
        """An orderly shutdown."""
        os.kill(int(self.leader()[0]), signal.SIGRTMIN + 4)
        self.nspawn.wait(timeout=90)
        self.uncable()

    def uncable(self):
        sh("ip", "-n", "cloud", "link", "del", self.name)
        sh("ip", "netns", "del", self.name)
        remove_cgroups(self.id)

    def reboot(self, until=None):
        self.off()
        return self.boot(until)

    # --- inside ---------------------------------------------------------------------------------------------------------------------

    def try_run(self, command, **options):
        """Runs a shell command in the machine: its exit status and what it printed."""
        inside = ["nsenter", "-t", *self.leader(), "-m", "-u", "-i", "-n", "-p", "-C", "--", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
                  f"PATH={PATH}", AUTHORITY, "sh", "-c", command]
        done = subprocess.run(inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, **options)
        return done.returncode, done.stdout

    def run(self, command, **options):
        """The same for a command that must succeed; returns what it printed."""
        status, printed = self.try_run(command, **options)
        if status:
            raise RuntimeError(f"in the machine: {command}: exit status {status}\n{printed[-3000:]}")
        return printed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.nspawn and self.nspawn.poll() is None:
            os.kill(int(self.leader()[0]), signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.nspawn.wait(timeout=10)
            self.nspawn.kill()
            self.nspawn.wait()
            self.uncable()
        sh("umount", self.root)
        sh("rm", "-rf", "--one-file-system", self.folder)
