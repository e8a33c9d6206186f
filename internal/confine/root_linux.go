package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// system is what every room has of this machine: its programs and what they need to start, and the
// certificates that it trusts. None of it says anything about the server.
var system = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.cache"}

// small files that programs look for.
var files = map[string]string{
	"/etc/passwd":        "root:x:0:0:root:/:/bin/sh\n",
	"/etc/group":         "root:x:0:\n",
	"/etc/hosts":         "127.0.0.1 localhost\n::1 localhost\n",
	"/etc/nsswitch.conf": "hosts: files\n",
	"/etc/resolv.conf":   "",
}

var devices = []string{"null", "zero", "full", "random", "urandom"}

// shmSize bounds the room's /tmp and /dev/shm, which are memory.
const shmSize = "size=256m,nr_inodes=64k,mode=1777"

// enter makes the fresh root, leaves the old one for good, opens the ways out and takes from this
// process, and so from all that follow, what could lead out of it.
func enter(p Plan) ([]*os.File, ready, error) {
	if err := fresh(p); err != nil {
		return nil, ready{}, err
	}
	if err := loopbackUp(); err != nil {
		return nil, ready{}, fmt.Errorf("bring loopback up: %w", err)
	}
	listeners, r, err := listenInside(p.Egress)
	if err == nil {
		err = renounce(p)
	}
	if err != nil {
		closeAll(listeners)
		return nil, ready{}, err
	}
	return listeners, r, nil
}

const (
	oldRoot = "/oldroot"
	newRoot = "/newroot"
)

func fresh(p Plan) error {
	// Nothing that is mounted here may reach the machine, nor the other way.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}
	// A place to stand on: after the change of root, the old one is whole below it, /tmp included.
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount a place to stand on: %w", err)
	}
	if err := errors.Join(os.Mkdir("/tmp"+oldRoot, 0o755), os.Mkdir("/tmp"+newRoot, 0o755)); err != nil {
		return err
	}
	if err := pivot("/tmp", "/tmp"+oldRoot); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", newRoot, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount the new root: %w", err)
	}
	if err := furnish(p); err != nil {
		return err
	}
	if err := unix.Unmount(oldRoot, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	if err := pivot(newRoot, newRoot); err != nil {
		return err
	}
	if err := unix.Unmount("/", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the place to stand on: %w", err)
	}
	return unix.Chdir("/")
}

func pivot(root, old string) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.PivotRoot(root, old); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	return unix.Chdir("/")
}

// protected is what cannot be changed, nor lead to anything but its own content.
const protected = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID

func furnish(p Plan) error {
	for _, dir := range []string{"/proc", "/dev", "/dev/shm", "/tmp", "/etc"} {
		if err := os.MkdirAll(newRoot+dir, 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/dev/shm", "/tmp"} {
		if err := unix.Mount("tmpfs", newRoot+dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, shmSize); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for _, d := range devices {
		if err := bind("/dev/"+d, 0); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(newRoot+name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, path := range system {
		err := link(path)
		if errors.Is(err, errNoLink) {
			err = bind(path, protected)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, path := range p.ReadOnly {
		if err := bind(path, protected); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, path := range p.Writable {
		if err := bind(path, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", newRoot+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount the room's own /proc: %w", err)
	}
	// No room within the room, where one would be root again.
	if err := os.WriteFile(newRoot+"/proc/sys/user/max_user_namespaces", []byte("0"), 0o644); err != nil {
		return fmt.Errorf("forbid further name spaces: %w", err)
	}
	// A server that runs as root is still its user outside, who may write the kernel's settings.
	for _, path := range []string{"/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/sysrq-trigger"} {
		if err := readOnly(newRoot + path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("protect %s: %w", path, err)
		}
	}
	return nil
}

var errNoLink = errors.New("not a link")

// link makes the same symbolic link in the new root, as /bin is one on many systems. It returns
// errNoLink if the path is none.
func link(path string) error {
	target, err := os.Readlink(oldRoot + path)
	if err != nil {
		if errors.Is(err, unix.EINVAL) {
			return errNoLink
		}
		return err
	}
	if err := os.MkdirAll(filepath.Dir(newRoot+path), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(target, newRoot+path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// bind shows a path of the old root at the same place of the new one.
func bind(path string, attributes uint64) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" || strings.HasPrefix(path, "/proc") {
		return fmt.Errorf("a room cannot have %q", path)
	}
	from, info, err := inOldRoot(path)
	if err != nil {
		return fmt.Errorf("furnish the room: %w", err)
	}
	to := newRoot + path
	if info.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
		err = touch(to)
	}
	if err != nil {
		return fmt.Errorf("furnish the room: %w", err)
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("furnish the room with %s: %w", path, err)
	}
	if attributes == 0 {
		return nil
	}
	if err := unix.MountSetattr(-1, to, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attributes}); err != nil {
		return fmt.Errorf("protect %s: %w", path, err)
	}
	return nil
}

// inOldRoot finds a path below the old root. Links on the way are followed as the machine follows them.
func inOldRoot(path string) (string, fs.FileInfo, error) {
	real := "/"
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for hops := 0; len(parts) > 0; {
		next := filepath.Join(real, parts[0])
		info, err := os.Lstat(oldRoot + next)
		if err != nil {
			return "", nil, err
		}
		if parts = parts[1:]; info.Mode()&fs.ModeSymlink == 0 {
			real = next
			continue
		}
		if hops++; hops > 40 {
			return "", nil, &fs.PathError{Op: "follow", Path: path, Err: unix.ELOOP}
		}
		target, err := os.Readlink(oldRoot + next)
		if err != nil {
			return "", nil, err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(real, target)
		}
		parts = append(strings.Split(strings.TrimPrefix(filepath.Clean(target), "/"), "/"), parts...)
		real = "/"
	}
	info, err := os.Stat(oldRoot + real)
	return oldRoot + real, info, err
}

func touch(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

func readOnly(path string) error {
	if err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.MountSetattr(-1, path, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}

// renounce gives up what the room's first process needed to furnish it. All of it concerns only this
// thread, which starts every command.
func renounce(p Plan) error {
	l := p.Limits
	for _, r := range []struct {
		resource int
		value    int64
	}{{unix.RLIMIT_CORE, -1}, {unix.RLIMIT_NPROC, l.Processes}, {unix.RLIMIT_NOFILE, l.OpenFiles}, {unix.RLIMIT_FSIZE, l.Disk}} {
		if r.value == 0 {
			continue
		}
		value := uint64(max(r.value, 0))
		if err := unix.Setrlimit(r.resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("limit resource %d: %w", r.resource, err)
		}
	}
	// The kernel is to kill what runs here before it kills the server, and a plan, which is made again, before an
	// apply, of which somebody has to find out how it ended.
	score := 1000
	if p.Finish {
		score = 500
	}
	if err := offer(score); err != nil {
		return fmt.Errorf("offer the room to the kernel: %w", err)
	}
	for c := range uintptr(unix.CAP_LAST_CAP + 1) {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	return nil
}

// offer has the kernel end this process and its children the sooner, the larger score is. What the server has itself may
// be more, and cannot be taken back.
func offer(score int) error {
	const file = "/proc/self/oom_score_adj"
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strconv.Itoa(max(own, score))), 0o644)
}

// overDisk says which limit the writable directories are over, or nothing.
func (h *house) overDisk() string {
	l := h.plan.Limits
	if l.Disk <= 0 && l.Entries <= 0 {
		return ""
	}
	var bytes, entries int64
	for _, dir := range h.plan.Writable {
		_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it is being changed under us
			}
			entries++
			if info, err := d.Info(); err == nil && d.Type().IsRegular() {
				bytes += info.Size()
			}
			if l.Entries > 0 && entries > l.Entries || l.Disk > 0 && bytes > l.Disk {
				return fs.SkipAll
			}
			return nil
		})
	}
	switch {
	case l.Disk > 0 && bytes > l.Disk:
		return fmt.Sprintf("disk: more than %d MiB", l.Disk>>20)
	case l.Entries > 0 && entries > l.Entries:
		return fmt.Sprintf("disk: more than %d files", l.Entries)
	}
	return ""
}
