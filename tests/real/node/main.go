// Command node is a node of the test bed: a kubelet whose containers are local processes.
//
// It registers a Node, runs the pods that are bound to it, and answers exec, logs and port-forward with Kubernetes' own
// streaming library, so that everything between a client and a process is the real thing but the container runtime. What
// takes its place: a folder for each pod UID, a root directory for each container (chroot, private mounts: /run/spire/svid
// in a pod is no path of this machine), an own loopback address for each pod, and a closed list of programs.
//
// SIGUSR1 cuts every exec and port-forward that is under way, for tests of that.
//
// It needs root, for mounts and users, and asks the API server for nothing that a kubelet may not have (the Node
// authorizer and NodeRestriction can be on).
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const (
	inNamespace = "REAL_NODE_IN_NAMESPACE" // tells the second start of this program that it is the second
	cutSignal   = syscall.SIGUSR1
)

// options are the command line.
type options struct {
	name, kubeconfig, address, root, programs, zone string
	certificate, key, clientAuthority               string
	tools                                           string
	port                                            int
	pods                                            netip.Prefix
}

func parseOptions() (options, error) {
	o := options{pods: netip.MustParsePrefix("127.18.1.0/24")}
	flag.StringVar(&o.name, "name", "", "name of the Node")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "how the API server is reached: a user system:node:NAME")
	flag.StringVar(&o.address, "address", "127.0.0.1", "where the API server reaches this node")
	flag.IntVar(&o.port, "port", 10250, "and at which port")
	flag.StringVar(&o.certificate, "certificate", "", "serving certificate, PEM, valid for the address")
	flag.StringVar(&o.key, "key", "", "its key")
	flag.StringVar(&o.clientAuthority, "client-ca", "", "who signs the API server's client certificate, PEM")
	flag.StringVar(&o.root, "root", "", "folder for pods, images and this node's host paths; emptied at the start")
	flag.StringVar(&o.programs, "programs", "", "paths, with commas, of programs that every container has in /usr/local/bin")
	flag.StringVar(&o.tools, "tools", defaultTools, "programs of this machine that every container has in /usr/bin")
	flag.StringVar(&o.zone, "zone", "", "label topology.kubernetes.io/zone")
	flag.TextVar(&o.pods, "pods", o.pods, "loopback network from which each pod gets an address; one network a node")
	flag.Parse()
	for name, value := range map[string]string{"name": o.name, "kubeconfig": o.kubeconfig, "root": o.root,
		"certificate": o.certificate, "key": o.key, "client-ca": o.clientAuthority} {
		if value == "" {
			return o, fmt.Errorf("-%s is missing", name)
		}
	}
	if !o.pods.Addr().IsLoopback() {
		return o, fmt.Errorf("-pods %s is not in 127.0.0.0/8", o.pods)
	}
	root, err := filepath.Abs(o.root)
	o.root = root
	return o, err
}

func main() {
	klog.InitFlags(nil)
	o, err := parseOptions()
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if os.Getenv(inNamespace) == "" {
		return supervise()
	}
	if err := settle(); err != nil {
		return err
	}
	configuration, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.kubeconfig, err)
	}
	configuration.QPS, configuration.Burst = 200, 400
	client, err := kubernetes.NewForConfig(configuration)
	if err != nil {
		return err
	}
	image, err := buildImage(o.root, list(o.programs), list(o.tools))
	if err != nil {
		return fmt.Errorf("building the image of all containers: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	kubelet := newKubelet(o, client, image, apiServerEnvironment(configuration))
	if err := kubelet.serve(ctx); err != nil {
		return err
	}
	if err := kubelet.register(ctx); err != nil {
		return fmt.Errorf("registering the node: %w", err)
	}
	fmt.Printf("node %s is ready: https://%s, pods in %s\n", o.name, net.JoinHostPort(o.address, fmt.Sprint(o.port)), o.root)
	kubelet.runPods(ctx)
	return nil
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// supervise starts this program again in namespaces of its own and hands signals on. No other process of the machine sees
// its mounts, and the kernel ends all of its processes with it: nothing outlives a node, however that ends.
func supervise() error {
	if os.Geteuid() != 0 {
		return errors.New("the node needs root: it mounts, and runs containers as their users")
	}
	inner := exec.Command("/proc/self/exe", os.Args[1:]...)
	inner.Env = append(os.Environ(), inNamespace+"=1")
	inner.Stdout, inner.Stderr = os.Stdout, os.Stderr
	inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the one that the kernel takes for the parent
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, cutSignal)
	if err := inner.Start(); err != nil {
		return err
	}
	go func() {
		for received := range signals {
			_ = inner.Process.Signal(received)
		}
	}()
	return inner.Wait()
}

// settle makes this process at home in its namespaces: mounts stay in here, and /proc shows the processes of this node.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return nil
}

// serve answers the API server, and nobody else: a client certificate of its authority is asked for.
func (k *kubelet) serve(ctx context.Context) error {
	certificate, err := tls.LoadX509KeyPair(k.options.certificate, k.options.key)
	if err != nil {
		return fmt.Errorf("reading the serving certificate: %w", err)
	}
	authority, err := os.ReadFile(k.options.clientAuthority)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(authority) {
		return fmt.Errorf("%s holds no certificate", k.options.clientAuthority)
	}
	server := &http.Server{
		Handler: k.routes(),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients},
		// SPDY and WebSocket are upgrades of HTTP/1.1.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ConnState:    cutStreamsOn(ctx, cutSignal),
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(k.options.address, fmt.Sprint(k.options.port)))
	if err != nil {
		return err
	}
	go func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			klog.ErrorS(err, "The kubelet endpoint ended")
		}
	}()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return nil
}

// cutStreamsOn makes a fault on demand: at the signal, every exec and port-forward that is under way loses its connection.
func cutStreamsOn(ctx context.Context, cut os.Signal) func(net.Conn, http.ConnState) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, cut)
	var streams sync.Map // every connection that was upgraded; a closed one is closed again without harm
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				streams.Range(func(connection, _ any) bool {
					_ = connection.(net.Conn).Close()
					streams.Delete(connection)
					return true
				})
			}
		}
	}()
	return func(connection net.Conn, state http.ConnState) {
		if state == http.StateHijacked {
			streams.Store(connection, true)
		}
	}
}

// apiServerEnvironment is what every container is told of the API server.
func apiServerEnvironment(configuration *rest.Config) []string {
	server, err := url.Parse(configuration.Host)
	if err != nil {
		return nil
	}
	return []string{"KUBERNETES_SERVICE_HOST=" + server.Hostname(), "KUBERNETES_SERVICE_PORT=" + server.Port(),
		"KUBERNETES_SERVICE_PORT_HTTPS=" + server.Port()}
}
