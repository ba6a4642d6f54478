package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// A container that ends is started again after a pause that doubles, as with a kubelet but from a shorter first one: tests
// wait for it.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 10 * time.Second
	longEnough   = 30 * time.Second // a run of this length makes the next pause the first again
)

// What images are started with where a pod names no command; every other image starts the program of its own name.
var entryPoints = map[string][]string{
	"spire-agent":  {"/opt/spire/bin/spire-agent", "run"},
	"spire-server": {"/opt/spire/bin/spire-server", "run"},
}

// container is one of a pod: its runs, one after the other, each with a root directory and a log of its own.
type container struct {
	pod  *pod
	spec *core.Container
	init bool

	mutex       sync.Mutex
	state, last core.ContainerState
	restarts    int32
	ready       bool
	over        bool // it will not be started again
	attempt     int
	running     *program // what exec starts from; nil while nothing runs
	process     *process
	visitors    map[*process]bool // what exec started in this run
}

func newContainer(p *pod, spec *core.Container, init bool) *container {
	waiting := core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: "ContainerCreating"}}
	return &container{pod: p, spec: spec, init: init, state: waiting, attempt: -1, visitors: map[*process]bool{}}
}

// sidecar tells an init container that stays.
func (c *container) sidecar() bool {
	return c.init && ptr.Deref(c.spec.RestartPolicy, "") == core.ContainerRestartPolicyAlways
}

// run starts the container, again and again as its pod says, until ctx ends or it is over.
func (c *container) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		code := c.runOnce(ctx)
		if ctx.Err() != nil || !c.again(code) {
			break
		}
		if time.Since(began) > longEnough {
			pause = firstPause
		}
		c.wait("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s", pause, c.spec.Name))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
		c.set(func() { c.restarts++ })
	}
	c.set(func() { c.over = true })
}

func (c *container) again(code int32) bool {
	policy := c.pod.object().Spec.RestartPolicy
	if c.sidecar() {
		return true
	}
	if c.init {
		return code != 0 && policy != core.RestartPolicyNever
	}
	return policy == core.RestartPolicyAlways || policy == core.RestartPolicyOnFailure && code != 0
}

// runOnce makes a root directory, runs the process in it to its end, and gives its exit code.
func (c *container) runOnce(ctx context.Context) int32 {
	what, log := c.prepareUntilDone(ctx)
	if log == nil {
		return 1
	}
	defer log.close()
	defer func() { _ = removeFolder(what.root) }()
	output, errorOutput := log.stream("stdout"), log.stream("stderr")
	started, err := what.start(nil, output, errorOutput)
	if err != nil {
		c.terminated(core.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: err.Error(),
			StartedAt: meta.Now(), FinishedAt: meta.Now(), ContainerID: c.id()})
		return 128
	}
	since := meta.Now()
	c.set(func() {
		c.running, c.process = what, started
		c.ready = c.spec.ReadinessProbe == nil && c.spec.StartupProbe == nil
		c.state = core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: since}}
	})
	probing, stopProbes := context.WithCancel(ctx)
	go c.probe(probing, started)
	select {
	case <-started.done:
	case <-ctx.Done():
		started.stop(c.pod.unlessGone(), c.pod.grace())
	}
	stopProbes()
	output.flush()
	errorOutput.flush()
	reason := "Completed"
	if started.code != 0 {
		reason = "Error"
	}
	c.terminated(core.ContainerStateTerminated{ExitCode: int32(started.code), Reason: reason,
		StartedAt: since, FinishedAt: meta.Now(), ContainerID: c.id()})
	return int32(started.code)
}

// prepareUntilDone waits for what the container names: a config map may be made after the pod.
func (c *container) prepareUntilDone(ctx context.Context) (*program, *logFile) {
	c.set(func() { c.attempt++ })
	for {
		what, log, err := c.prepare(ctx)
		if err == nil {
			return what, log
		}
		c.wait("CreateContainerConfigError", err.Error())
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(firstPause):
		}
	}
}

func (c *container) prepare(ctx context.Context) (*program, *logFile, error) {
	environment, err := c.pod.environmentOf(ctx, c.spec)
	if err != nil {
		return nil, nil, err
	}
	what := &program{root: filepath.Join(c.pod.folder, "roots", fmt.Sprintf("%s.%d", c.spec.Name, c.attempt)),
		folder: "/", environment: environment, command: expandAll(c.command(), environment)}
	if c.spec.WorkingDir != "" {
		what.folder = c.spec.WorkingDir
	}
	what.user, what.group = c.identity()
	if err := removeFolder(what.root); err != nil {
		return nil, nil, err
	}
	err = c.pod.kubelet.image.mountRoot(what.root, c.hosts())
	if err == nil {
		err = c.pod.mountVolumes(what.root, c.spec.VolumeMounts)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(what.root, what.folder), 0o755)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(c.logPath(c.attempt)), 0o755)
	}
	if err != nil {
		return nil, nil, errors.Join(err, removeFolder(what.root))
	}
	log, err := createLog(c.logPath(c.attempt))
	return what, log, err
}

// hosts are the names that a process can look up: there is no name server.
func (c *container) hosts() string {
	lines := fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", c.pod.address, c.pod.name)
	for _, alias := range c.pod.object().Spec.HostAliases {
		lines += alias.IP + " " + strings.Join(alias.Hostnames, " ") + "\n"
	}
	return lines
}

func (c *container) command() []string {
	if len(c.spec.Command) > 0 {
		return append(append([]string{}, c.spec.Command...), c.spec.Args...)
	}
	name, _, _ := strings.Cut(path.Base(c.spec.Image), "@")
	name, _, _ = strings.Cut(name, ":")
	entry, known := entryPoints[name]
	if !known {
		entry = []string{name}
	}
	return append(append([]string{}, entry...), c.spec.Args...)
}

func (c *container) identity() (user, group uint32) {
	var ids [2]*int64
	if whole := c.pod.object().Spec.SecurityContext; whole != nil {
		ids = [2]*int64{whole.RunAsUser, whole.RunAsGroup}
	}
	if own := c.spec.SecurityContext; own != nil {
		ids = [2]*int64{ptr.To(ptr.Deref(own.RunAsUser, ptr.Deref(ids[0], 0))), ptr.To(ptr.Deref(own.RunAsGroup, ptr.Deref(ids[1], 0)))}
	}
	return uint32(ptr.Deref(ids[0], 0)), uint32(ptr.Deref(ids[1], 0))
}

func (c *container) id() string {
	return fmt.Sprintf("process://%s-%s-%d", c.pod.uid, c.spec.Name, c.attempt)
}

func (c *container) logPath(attempt int) string {
	return filepath.Join(c.pod.folder, "logs", c.spec.Name, fmt.Sprintf("%d.log", attempt))
}

// set changes the container's state, and has the pod's status written.
func (c *container) set(change func()) {
	c.mutex.Lock()
	change()
	c.mutex.Unlock()
	c.pod.tell()
}

func (c *container) wait(reason, message string) {
	c.set(func() {
		c.state = core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

// terminated ends a run: what exec started in it ends too.
func (c *container) terminated(how core.ContainerStateTerminated) {
	c.set(func() {
		c.state = core.ContainerState{Terminated: &how}
		c.last, c.ready, c.running, c.process = c.state, false, nil, nil
		for visitor := range c.visitors {
			visitor.kill()
		}
	})
}
