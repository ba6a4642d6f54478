package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/exec"
)

// As in a kubelet.
const (
	streamIdle     = 4 * time.Hour
	streamCreation = 30 * time.Second
)

// routes are the paths of a kubelet that the API server asks for.
func (k *kubelet) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLogs)
	for _, pod := range []string{"{namespace}/{pod}", "{namespace}/{pod}/{uid}"} {
		mux.HandleFunc("/exec/"+pod+"/{container}", k.serveExec)
		mux.HandleFunc("/portForward/"+pod, k.servePortForward)
	}
	return mux
}

// asked gives the pod and the container that a request names, or answers that there is none.
func (k *kubelet) asked(w http.ResponseWriter, r *http.Request) (*pod, *container) {
	p := k.find(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("uid"))
	if p == nil {
		http.Error(w, fmt.Sprintf("pod %q does not exist", r.PathValue("pod")), http.StatusNotFound)
		return nil, nil
	}
	name := r.PathValue("container")
	if name == "" {
		return p, nil
	}
	c := p.find(name)
	if c == nil {
		http.Error(w, fmt.Sprintf("container %q not found in pod %q", name, p.name), http.StatusNotFound)
		return nil, nil
	}
	return p, c
}

func (k *kubelet) serveExec(w http.ResponseWriter, r *http.Request) {
	p, c := k.asked(w, r)
	if p == nil {
		return
	}
	wanted, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, executor{c}, p.name, string(p.uid), c.spec.Name, r.URL.Query()[core.ExecCommandParam], wanted,
		streamIdle, streamCreation, remotecommand.SupportedStreamingProtocols)
}

type executor struct{ container *container }

func (e executor) ExecInContainer(ctx context.Context, _, _, _ string, command []string, in io.Reader, out, err io.WriteCloser, tty bool,
	_ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if tty {
		return errors.New("this node has no terminals: exec without --tty")
	}
	// A stream that was not asked for is a nil of its own type.
	var output, errorOutput io.Writer
	if out != nil {
		output = out
	}
	if err != nil {
		errorOutput = err
	}
	return e.container.execute(ctx, command, in, output, errorOutput)
}

// execute runs a command in the container, beside its process and in the same root. It ends with the container or with ctx.
func (c *container) execute(ctx context.Context, command []string, in io.Reader, out, errorOutput io.Writer) error {
	c.mutex.Lock()
	if c.running == nil {
		c.mutex.Unlock()
		return fmt.Errorf("container %s is not running", c.spec.Name)
	}
	what := *c.running
	what.command = command
	visitor, err := what.start(in, out, errorOutput)
	if err != nil {
		c.mutex.Unlock()
		return fmt.Errorf("OCI runtime exec failed: %w: unknown", err)
	}
	c.visitors[visitor] = true
	c.mutex.Unlock()
	defer context.AfterFunc(ctx, visitor.kill)()
	<-visitor.done
	c.mutex.Lock()
	delete(c.visitors, visitor)
	c.mutex.Unlock()
	switch {
	case visitor.failure != nil:
		return visitor.failure
	case visitor.code != 0:
		return exec.CodeExitError{Err: fmt.Errorf("exit status %d", visitor.code), Code: visitor.code}
	}
	return nil
}

func (k *kubelet) servePortForward(w http.ResponseWriter, r *http.Request) {
	p, _ := k.asked(w, r)
	if p == nil {
		return
	}
	wanted, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, forwarder{p}, p.name, string(p.uid), wanted, streamIdle, streamCreation, portforward.SupportedProtocols)
}

type forwarder struct{ pod *pod }

// PortForward connects a stream with a port of the pod, until the pod's side is done; the library closes the stream.
func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(f.pod.address.String(), strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("failed to connect to port %d of pod %s, uid %s: %w", port, f.pod.name, f.pod.uid, err)
	}
	defer connection.Close()
	defer context.AfterFunc(f.pod.deleted, func() { _ = connection.Close() })()
	answered := make(chan error, 1)
	go func() {
		_, err := io.Copy(stream, connection)
		answered <- err
	}()
	go func() {
		_, _ = io.Copy(connection, stream)
		_ = connection.(*net.TCPConn).CloseWrite()
	}()
	return <-answered
}
