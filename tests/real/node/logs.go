package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
	internalapi "k8s.io/cri-api/pkg/apis"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
)

func (k *kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	p, c := k.asked(w, r)
	if p == nil {
		return
	}
	options, err := readOptions(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path, id, err := c.logOf(r.URL.Query().Get("previous") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var out io.Writer = w
	if options.Follow {
		out = flusher{w}
	}
	stdout, stderr := out, out
	switch r.URL.Query().Get("stream") {
	case core.LogStreamStdout:
		stderr = nil
	case core.LogStreamStderr:
		stdout = nil
	}
	err = logs.ReadLogs(r.Context(), path, id, options, &runningContainers{container: c}, stdout, stderr)
	if err != nil && r.Context().Err() == nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// readOptions says which lines are wanted: PodLogOptions as the API server writes them in a query.
func readOptions(query url.Values) (*logs.LogOptions, error) {
	options := &logs.LogOptions{Follow: query.Get("follow") == "true", Timestamp: query.Get("timestamps") == "true"}
	for name, target := range map[string]**int64{"tailLines": &options.TailLines, "limitBytes": &options.LimitBytes} {
		if query.Has(name) {
			number, err := strconv.ParseInt(query.Get(name), 10, 64)
			if err != nil {
				return nil, err
			}
			*target = &number
		}
	}
	if query.Has("sinceSeconds") {
		seconds, err := strconv.ParseInt(query.Get("sinceSeconds"), 10, 64)
		if err != nil {
			return nil, err
		}
		options.Since = time.Now().Add(-time.Duration(seconds) * time.Second)
	}
	if query.Has("sinceTime") {
		since, err := time.Parse(time.RFC3339, query.Get("sinceTime"))
		if err != nil {
			return nil, err
		}
		options.Since = since
	}
	return options, nil
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

// flusher sends each line on at once, for a reader that waits for it.
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
