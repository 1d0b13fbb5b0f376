"""A Debian 12 of the test's own: debootstrap makes its disk once, qemu emulates it, with Debian's
kernel. Commands go in, and answers come out, over its second serial line."""
import base64
import pathlib
import shutil
import socket
import subprocess
import time

PACKAGES = "systemd-sysv dbus libpam-systemd linux-image-amd64 nftables iproute2 procps openssh-server openssh-client"

AGENT_UNIT = """[Unit]
Description=runs what the trial asks for
[Service]
ExecStart=/usr/local/sbin/trial-agent
KillMode=process
[Install]
WantedBy=multi-user.target
"""
AGENT = """#!/bin/bash
stty -F /dev/ttyS1 115200 raw -echo
exec 3<>/dev/ttyS1
while read -r number command <&3; do
  base64 -d <<<"$command" >/run/trial-command
  HOME=/root timeout 600 bash /run/trial-command >/run/trial-answer 2>&1 </dev/null 3>&-
  echo "answer $number $? $(base64 -w0 /run/trial-answer)" >&3
done
"""


def make_tree(tree: pathlib.Path, wanted: list[str]) -> None:
    """The installed system, with the packages that are wanted of it. It is kept: it takes minutes."""
    packages = ",".join(PACKAGES.split() + sorted(wanted))
    made = tree.with_suffix(".made")
    if made.exists() and made.read_text() == packages:
        return
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(tree)],
                   check=True, stdout=subprocess.DEVNULL)
    made.write_text(packages)


def make_disk(tree: pathlib.Path, disk: pathlib.Path, files: dict[str, bytes]) -> None:
    """A disk of the tree with the agent and `files`; a name that ends in `*` is a program."""
    copy = disk.with_suffix(".tree")
    if copy.exists():
        shutil.rmtree(copy)
    subprocess.run(["cp", "-a", str(tree), str(copy)], check=True)
    shutil.rmtree(copy / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(copy / "usr/share/locale", ignore_errors=True)
    own = {"etc/systemd/system/trial-agent.service": AGENT_UNIT.encode(),
           "usr/local/sbin/trial-agent*": AGENT.encode(), "etc/fstab": b"/dev/vda / ext4 defaults 0 1\n"}
    for name, content in (own | files).items():
        path = copy / name.rstrip("*")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if name.endswith("*") else 0o644)
    wants = copy / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "trial-agent.service").symlink_to("/etc/systemd/system/trial-agent.service")
    disk.unlink(missing_ok=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(copy), str(disk), "3G"], check=True)
    shutil.rmtree(copy)


class Machine:
    """One boot after the other of the same disk."""

    def __init__(self, tree: pathlib.Path, disk: pathlib.Path) -> None:
        self.kernel = next((tree / "boot").glob("vmlinuz-*"))
        self.initrd = next((tree / "boot").glob("initrd.img-*"))
        self.disk = disk
        self.log = disk.with_suffix(".console")
        self.socket_path = disk.with_suffix(".socket")
        self.process: subprocess.Popen[bytes] | None = None
        self.line: socket.socket | None = None
        self.asked = 0
        self.unread = b""

    def boot(self, *parameters: str, patience: int = 300) -> None:
        """Returns once the agent answers."""
        self.socket_path.unlink(missing_ok=True)
        append = " ".join(["root=/dev/vda", "rw", "console=ttyS0", "panic=-1", "systemd.show_status=0", *parameters])
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-no-reboot", "-display", "none",
             "-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", append,
             "-drive", f"file={self.disk},format=raw,if=virtio,cache=unsafe", "-nic", "user,restrict=on,model=virtio",
             "-serial", f"file:{self.log}", "-serial", f"unix:{self.socket_path},server=on,wait=off"],
            stdin=subprocess.DEVNULL)
        end = time.monotonic() + patience
        while not self.socket_path.exists():
            time.sleep(0.1)
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(str(self.socket_path))
        self.unread = b""
        while time.monotonic() < end:
            try:
                self.run("true", patience=5)
                return
            except TimeoutError:
                if self.process.poll() is not None:
                    raise SystemExit(f"the machine ended: {self.log}") from None
        raise SystemExit(f"the machine did not boot within {patience} s: {self.log}")

    def run(self, script: str, patience: int = 700) -> tuple[int, str]:
        """The exit status and all that it printed."""
        assert self.line
        self.asked += 1
        self.line.settimeout(patience)
        self.line.sendall(b"%d %s\n" % (self.asked, base64.b64encode(script.encode())))
        while True:
            while b"\n" not in self.unread:
                part = self.line.recv(65536)
                if not part:
                    raise SystemExit(f"the machine hung up: {self.log}")
                self.unread += part
            answer, _, self.unread = self.unread.partition(b"\n")
            # What was asked before the agent listened is echoed, or answered late.
            words = answer.decode(errors="replace").split()
            if words[:2] == ["answer", str(self.asked)]:
                return int(words[2]), base64.b64decode("".join(words[3:])).decode(errors="replace")

    def stop(self, crash: bool = False) -> None:
        """Shut down in order; or the power goes."""
        if not self.process or not self.line:
            return
        if crash:
            self.run("sync")
        else:
            self.line.sendall(b"0 %s\n" % base64.b64encode(b"systemctl poweroff"))
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        if self.process and self.line:
            self.process.kill()
            self.process.wait()
            self.line.close()
        self.process, self.line = None, None
