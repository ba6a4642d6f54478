package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	internalapi "k8s.io/cri-api/pkg/apis"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
)

func (k *kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	p, c := k.asked(w, r)
	if p == nil {
		return
	}
	wanted := &core.PodLogOptions{}
	if err := scheme.ParameterCodec.DecodeParameters(r.URL.Query(), core.SchemeGroupVersion, wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path, id, err := c.logOf(wanted.Previous)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := flusher{w}
	var stdout, stderr io.Writer = out, out
	if wanted.Stream != nil && *wanted.Stream == core.LogStreamStdout {
		stderr = nil
	}
	if wanted.Stream != nil && *wanted.Stream == core.LogStreamStderr {
		stdout = nil
	}
	w.Header().Set("Transfer-Encoding", "chunked")
	err = logs.ReadLogs(r.Context(), path, id, readOptions(wanted), &runningContainers{container: c}, stdout, stderr)
	if err != nil && r.Context().Err() == nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// readOptions says which lines are wanted.
func readOptions(wanted *core.PodLogOptions) *logs.LogOptions {
	options := &logs.LogOptions{TailLines: wanted.TailLines, LimitBytes: wanted.LimitBytes, Follow: wanted.Follow,
		Timestamp: wanted.Timestamps}
	if wanted.SinceSeconds != nil {
		options.Since = time.Now().Add(-time.Duration(*wanted.SinceSeconds) * time.Second)
	}
	if wanted.SinceTime != nil && wanted.SinceTime.After(options.Since) {
		options.Since = wanted.SinceTime.Time
	}
	return options
}

// logOf gives the log of the current or of the previous run.
func (c *container) logOf(previous bool) (path, id string, err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	attempt := c.attempt
	if c.state.Waiting != nil && !previous && c.last.Terminated == nil {
		return "", "", fmt.Errorf("container %q in pod %q is waiting to start: %s", c.spec.Name, c.pod.name, c.state.Waiting.Reason)
	}
	if previous {
		attempt--
	}
	path = c.logPath(attempt)
	if _, err := os.Stat(path); err != nil {
		return "", "", fmt.Errorf("previous terminated container %q in pod %q not found", c.spec.Name, c.pod.name)
	}
	return path, strconv.Itoa(attempt), nil
}

// flusher sends each line on at once.
type flusher struct{ http.ResponseWriter }

func (f flusher) Write(line []byte) (int, error) {
	n, err := f.ResponseWriter.Write(line)
	if flush, ok := f.ResponseWriter.(http.Flusher); ok {
		flush.Flush()
	}
	return n, err
}

// runningContainers answers the one question that a follower of a log has.
type runningContainers struct {
	internalapi.RuntimeService
	container *container
}

func (r *runningContainers) ContainerStatus(_ context.Context, id string, _ bool) (*cri.ContainerStatusResponse, error) {
	r.container.mutex.Lock()
	defer r.container.mutex.Unlock()
	state := cri.ContainerState_CONTAINER_EXITED
	if r.container.process != nil && id == strconv.Itoa(r.container.attempt) {
		state = cri.ContainerState_CONTAINER_RUNNING
	}
	return &cri.ContainerStatusResponse{Status: &cri.ContainerStatus{State: state}}, nil
}
