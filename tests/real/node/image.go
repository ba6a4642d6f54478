package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// defaultTools are the programs of the machine that a container has beside those of the test bed: what a small image holds,
// and what the runbook types. There is no other program in a container.
const defaultTools = "sh,bash,cat,ls,cp,mv,rm,ln,mkdir,chmod,chown,touch,echo,printf,head,tail,grep,sed,awk,sort,uniq,wc,cut,tr," +
	"date,sleep,env,id,true,false,test,seq,dd,od,base64,sha256sum,tee,xargs,find,kill,ps,openssl,curl,timeout,stat,readlink,uname"

// image is what the roots of all containers of a node have in common.
type image struct {
	tools, programs string // folders of programs, for /usr/bin and /usr/local/bin
}

// Libraries and public certificates of the machine, read-only in every container.
var sharedFolders = []string{"/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/libx32", "/usr/share/zoneinfo",
	"/usr/share/ca-certificates", "/etc/ssl/certs"}

// Of which the machine may have a folder or, with a merged /usr, a link.
var rootFolders = []string{"/lib", "/lib64", "/lib32", "/libx32", "/bin", "/sbin"}

var copiedFiles = []string{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/etc/ld.so.conf",
	"/etc/ssl/openssl.cnf"}

var devices = []string{"null", "zero", "full", "random", "urandom"}

// buildImage empties the root folder of a node and gathers the programs of its containers.
func buildImage(root string, programs, tools []string) (*image, error) {
	if err := removeFolder(root); err != nil {
		return nil, err
	}
	i := &image{tools: filepath.Join(root, "image/tools"), programs: filepath.Join(root, "image/programs")}
	for _, folder := range []string{i.tools, i.programs, filepath.Join(root, "host")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	for _, tool := range tools {
		path, err := exec.LookPath(tool)
		if err != nil {
			continue // not every machine has each; a container that wants it is told so
		}
		if err := placeProgram(path, filepath.Join(i.tools, tool)); err != nil {
			return nil, err
		}
	}
	for _, program := range programs {
		if err := placeProgram(program, filepath.Join(i.programs, filepath.Base(program))); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// placeProgram gives a program a second name, or a copy where the file system is another. Links are followed: they would
// lead out of a container's root.
func placeProgram(from, to string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if status, err := os.Stat(from); err != nil || !status.Mode().IsRegular() {
		return err
	}
	if err := os.Link(from, to); err == nil {
		return nil
	}
	return copyFile(from, to, 0o755)
}

func copyFile(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// mountRoot makes the root directory of a container at a folder that does not exist yet.
func (i *image) mountRoot(root, hosts string) error {
	for _, folder := range []string{"etc", "usr/bin", "usr/local/bin", "etc/ssl", "opt/spire", "var/lib", "var/log", "run", "dev", "home"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			return err
		}
	}
	if err := makeOpenFolder(filepath.Join(root, "tmp")); err != nil {
		return err
	}
	// The runbook's paths, which are those of SPIRE's images; and where tokens are. No link may lead out of the root.
	for path, target := range map[string]string{"opt/spire/bin": "../../usr/local/bin", "var/run": "../run"} {
		if err := os.Symlink(target, filepath.Join(root, path)); err != nil {
			return err
		}
	}
	if err := i.mountMachine(root); err != nil {
		return err
	}
	for _, file := range copiedFiles {
		if err := copyFile(file, filepath.Join(root, file), 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "etc/hosts"), []byte(hosts), 0o644)
}

func (i *image) mountMachine(root string) error {
	binds := map[string]string{i.tools: "/usr/bin", i.programs: "/usr/local/bin"}
	for _, folder := range append(sharedFolders, rootFolders...) {
		status, err := os.Lstat(folder)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case status.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(folder)
			if err == nil {
				err = os.Symlink(target, filepath.Join(root, folder))
			}
			if err != nil {
				return err
			}
		case folder == "/bin" || folder == "/sbin":
			binds[i.tools+"/"] = "/bin"
		default:
			binds[folder] = folder
		}
	}
	for from, to := range binds {
		if err := bind(from, filepath.Join(root, to), true); err != nil {
			return err
		}
	}
	for _, device := range devices {
		if err := bind("/dev/"+device, filepath.Join(root, "dev", device), false); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(target, filepath.Join(root, "dev", name)); err != nil {
			return err
		}
	}
	return bind("/proc", filepath.Join(root, "proc"), false)
}

// bind shows a file or folder at a second place.
func bind(from, to string, readOnly bool) error {
	if err := makeMountPoint(from, to); err != nil {
		return fmt.Errorf("mounting %s at %s: %w", from, to, err)
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mounting %s at %s: %w", from, to, err)
	}
	if !readOnly {
		return nil
	}
	if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("making %s read-only: %w", to, err)
	}
	return nil
}

func makeMountPoint(from, to string) error {
	status, err := os.Stat(from)
	if err != nil {
		return err
	}
	if status.IsDir() {
		return os.MkdirAll(to, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

// makeOpenFolder makes a folder in which every user may write, whatever the umask.
func makeOpenFolder(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	return os.Chmod(path, 0o777|fs.ModeSticky)
}

// removeFolder removes a folder after everything that is mounted in it is unmounted, or not at all: a removal must not
// reach through a mount.
func removeFolder(folder string) error {
	mounts, err := mountsBelow(folder)
	if err != nil {
		return err
	}
	for _, mount := range slices.Backward(mounts) {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", mount, err)
		}
	}
	if mounts, err = mountsBelow(folder); err != nil || len(mounts) > 0 {
		return errors.Join(err, fmt.Errorf("%v are still mounted", mounts))
	}
	return os.RemoveAll(folder)
}

// mountsBelow lists what is mounted in a folder, in the order of mounting.
func mountsBelow(folder string) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var mounts []string
	for line := range strings.Lines(string(table)) {
		// Field 5 is the mount point, with blanks as octal escapes; our folders have none.
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], folder+"/") {
			mounts = append(mounts, fields[4])
		}
	}
	return mounts, nil
}
