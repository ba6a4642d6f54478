package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cri-client/pkg/logs"
)

// What needs a cluster is shown by tests/real/check; these are the parts that can be wrong without one.

func readLog(t *testing.T, path, query string) (string, string) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	options, err := readOptions(values)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if err := logs.ReadLogs(context.Background(), path, "", options, nil, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String()
}

func TestALogIsReadByTheKubeletsOwnReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	log, err := createLog(path)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := log.stream("stdout"), log.stream("stderr")
	long := strings.Repeat("x", longestLine+10)
	for _, piece := range []string{"first\nsec", "ond\n", long + "\nlast, without an end"} {
		_, _ = stdout.Write([]byte(piece))
	}
	_, _ = stderr.Write([]byte("an error\n"))
	stdout.flush()
	log.close()

	out, errors := readLog(t, path, "")
	if want := "first\nsecond\n" + long + "\nlast, without an end"; out != want {
		t.Errorf("%d bytes of output, want %d: %.60q", len(out), len(want), out)
	}
	if errors != "an error\n" {
		t.Errorf("errors: %q", errors)
	}
	if out, _ := readLog(t, path, "limitBytes=3"); out != "fir" {
		t.Errorf("three bytes: %q", out)
	}
	if out, errors := readLog(t, path, "sinceTime="+url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339))); out+errors != "" {
		t.Errorf("lines of the future: %q", out+errors)
	}
}

func TestVariablesAreExpandedAsInAPod(t *testing.T) {
	environment := []string{"A=one", "A=two"}
	for text, want := range map[string]string{"$(A)!": "two!", "$$(A)": "$(A)", "$(B) $A": "$(B) $A", "$$$(A)": "$two"} {
		if got := expand(text, environment); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

// start runs a script, and comes back when the script has said something.
func start(t *testing.T, script string) *process {
	t.Helper()
	said := make(chan []byte, 1)
	if os.Geteuid() != 0 {
		t.Fatal("the node runs as root, and so do its tests")
	}
	started, err := program{root: "/", folder: "/", command: []string{"sh", "-c", script}, environment: []string{"PATH=/usr/bin:/bin"}}.
		start(nil, listener(said), nil)
	if err != nil {
		t.Fatal(err)
	}
	<-said
	return started
}

type listener chan []byte

func (l listener) Write(said []byte) (int, error) {
	l <- said
	return len(said), nil
}

func TestAProcessTellsHowItEnded(t *testing.T) {
	for script, want := range map[string]int{"echo; exit 0": 0, "echo; exit 42": 42, "echo; kill -9 $$": 137} {
		ended := start(t, script)
		if <-ended.done; ended.code != want {
			t.Errorf("%q ended with %d, want %d", script, ended.code, want)
		}
	}
}

func TestAProcessThatIgnoresItsEndIsKilled(t *testing.T) {
	stubborn := start(t, "trap '' TERM; echo; sleep 60 & wait; sleep 60")
	stubborn.stop(context.Background(), 50*time.Millisecond)
	if stubborn.code != 137 {
		t.Errorf("it ended with %d", stubborn.code)
	}
}

func TestAProgramThatIsNotThereIsNamed(t *testing.T) {
	_, err := program{root: "/", command: []string{"nobody"}, environment: []string{"PATH=/usr/bin"}}.start(nil, nil, nil)
	if !errors.As(err, &errNotFound{}) || !strings.Contains(err.Error(), `exec: "nobody": executable file not found in $PATH`) {
		t.Errorf("it says %v", err)
	}
}

func TestFilesOfAVolumeAreExactlyThose(t *testing.T) {
	folder := t.TempDir()
	for _, files := range []map[string]string{{"a": "1", "b": "2"}, {"a": "3", "deep/c": ""}} {
		if err := writeFiles(folder, files); err != nil {
			t.Fatal(err)
		}
	}
	if content, err := os.ReadFile(filepath.Join(folder, "a")); err != nil || string(content) != "3" {
		t.Errorf("a is %q, %v", content, err)
	}
	if _, err := os.Stat(filepath.Join(folder, "b")); !os.IsNotExist(err) {
		t.Errorf("b is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "deep/c")); err != nil {
		t.Error(err)
	}
}

func TestAddressesAreGivenOnceAndThenAgain(t *testing.T) {
	k := newKubelet(options{pods: netip.MustParsePrefix("127.18.1.0/30")}, nil, nil, nil)
	for i, want := range []string{"127.18.1.1", "127.18.1.2"} {
		if got, err := k.takeAddress(types.UID(want)); err != nil || got.String() != want {
			t.Errorf("address %d is %s, %v", i, got, err)
		}
	}
	if got, err := k.takeAddress("third"); err == nil {
		t.Errorf("a third pod got %s", got)
	}
	delete(k.addresses, netip.MustParseAddr("127.18.1.1"))
	if got, err := k.takeAddress("fourth"); err != nil || got.String() != "127.18.1.1" {
		t.Errorf("the address that was given back became %s, %v", got, err)
	}
}

func TestThePhaseFollowsTheContainers(t *testing.T) {
	object := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: "web", UID: "u"}, Spec: core.PodSpec{
		InitContainers: []core.Container{{Name: "prepare"}}, Containers: []core.Container{{Name: "app"}}}}
	p := newPod(newKubelet(options{root: t.TempDir()}, nil, nil, nil), object, netip.MustParseAddr("127.18.1.7"))
	expect := func(want core.PodPhase, ready bool) {
		t.Helper()
		status := p.status()
		if status.Phase != want || status.ContainerStatuses[0].Ready != ready || status.PodIP != "198.18.1.7" {
			t.Errorf("it is %s, ready %v, at %s", status.Phase, status.ContainerStatuses[0].Ready, status.PodIP)
		}
	}
	running := core.ContainerState{Running: &core.ContainerStateRunning{}}
	ended := func(code int32) core.ContainerState {
		return core.ContainerState{Terminated: &core.ContainerStateTerminated{ExitCode: code}}
	}
	expect(core.PodPending, false)
	p.containers[0].state, p.containers[0].attempt, p.containers[0].over = ended(0), 0, true
	expect(core.PodPending, false)
	p.containers[1].state, p.containers[1].attempt, p.containers[1].ready = running, 0, true
	expect(core.PodRunning, true)
	p.containers[1].state, p.containers[1].ready, p.containers[1].over = ended(1), false, true
	expect(core.PodFailed, false)
	p.containers[1].state = ended(0)
	expect(core.PodSucceeded, false)
}
