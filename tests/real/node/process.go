package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The time that a process's output may stay open after its end, held by a child of it.
const outputLinger = 2 * time.Second

// program is what a process is started from, with paths as seen in its root directory.
type program struct {
	root, folder string
	command      []string
	environment  []string
	user, group  uint32
}

// process is a running program with a process group of its own.
type process struct {
	command *exec.Cmd
	done    chan struct{} // closed when it has ended; code and failure may be read then
	code    int
	failure error // it could not be waited for
}

// errNotFound has the words of the usual container runtimes, which people know.
type errNotFound struct{ name string }

func (e errNotFound) Error() string {
	if strings.Contains(e.name, "/") {
		return fmt.Sprintf("failed to start: exec: %q: stat %s: no such file or directory", e.name, e.name)
	}
	return fmt.Sprintf("failed to start: exec: %q: executable file not found in $PATH", e.name)
}

// starts are run by one thread that never ends: a process asks the kernel to be killed with the *thread* that started it,
// so that none outlives this program however that ends.
var starts = func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range work {
			start()
		}
	}()
	return work
}()

func (p program) start(input io.Reader, output, errors io.Writer) (*process, error) {
	path, err := p.find()
	if err != nil {
		return nil, err
	}
	command := &exec.Cmd{Path: path, Args: p.command, Env: p.environment, Dir: p.folder, Stdin: input, Stdout: output,
		Stderr: errors, WaitDelay: outputLinger,
		SysProcAttr: &syscall.SysProcAttr{Chroot: p.root, Setpgid: true, Pdeathsig: syscall.SIGKILL,
			Credential: &syscall.Credential{Uid: p.user, Gid: p.group}}}
	started := make(chan error)
	starts <- func() { started <- command.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("failed to start %q: %w", p.command[0], err)
	}
	running := &process{command: command, done: make(chan struct{})}
	go running.wait()
	return running, nil
}

// find looks for the program as the container sees it.
func (p program) find() (string, error) {
	name := p.command[0]
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, variable := range p.environment {
			if path, ok := strings.CutPrefix(variable, "PATH="); ok {
				candidates = nil
				for _, folder := range filepath.SplitList(path) {
					candidates = append(candidates, filepath.Join(folder, name))
				}
			}
		}
	}
	for _, candidate := range candidates {
		status, err := os.Stat(filepath.Join(p.root, candidate))
		if err == nil && status.Mode().IsRegular() && status.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", errNotFound{name}
}

func (p *process) wait() {
	err := p.command.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
	case errors.As(err, &exit):
		p.code = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			p.code = 128 + int(status.Signal())
		}
	default:
		p.failure, p.code = err, 1
	}
	// What it left behind in its group ends with it, as in a container whose first process ends.
	group := -p.command.Process.Pid
	_ = syscall.Kill(group, syscall.SIGKILL)
	close(p.done)
	// They are children of this process now, since it is the first of its namespace.
	for err = nil; err == nil || err == syscall.EINTR; {
		_, err = syscall.Wait4(group, nil, 0, nil)
	}
}

// kill ends the process and all of its group.
func (p *process) kill() {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL)
	}
}

// stop ends the process: it is asked, and killed when the grace period or ctx is over.
func (p *process) stop(ctx context.Context, grace time.Duration) {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(grace):
	case <-ctx.Done():
	}
	p.kill()
	<-p.done
}
