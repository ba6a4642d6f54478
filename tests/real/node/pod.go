package main

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

const (
	refreshVolumes = 10 * time.Second
	retryPause     = 500 * time.Millisecond
	lastGrace      = time.Second // for processes of a node that ends
)

// pod runs one pod of this node, from its binding to its removal.
//
// Its address is a loopback address of its own: what its processes listen at (they are told with `status.podIP` in a
// variable), and where port-forward goes. An EndpointSlice may not hold a loopback address, so the status that others see has
// its twin in 198.18.0.0/16, a network for tests, where nothing is: 127.18.1.7 is shown as 198.18.1.7.
type pod struct {
	kubelet         *kubelet
	uid             types.UID
	namespace, name string
	address         netip.Addr
	folder          string
	tokens          map[string]token

	latest     atomic.Pointer[core.Pod]
	containers []*container // init containers first
	started    meta.Time
	conditions map[core.PodConditionType]core.PodCondition

	changed      chan struct{} // something for the status; holds one
	deleted      context.Context
	markDeleted  context.CancelFunc
	gone         context.Context
	markGone     context.CancelFunc
	writeAtATime sync.Mutex
}

func newPod(k *kubelet, object *core.Pod, address netip.Addr) *pod {
	p := &pod{kubelet: k, uid: object.UID, namespace: object.Namespace, name: object.Name, address: address,
		folder: filepath.Join(k.options.root, "pods", string(object.UID)), tokens: map[string]token{}, started: meta.Now(),
		conditions: map[core.PodConditionType]core.PodCondition{}, changed: make(chan struct{}, 1)}
	p.deleted, p.markDeleted = context.WithCancel(context.Background())
	p.gone, p.markGone = context.WithCancel(context.Background())
	p.latest.Store(object)
	for i := range object.Spec.InitContainers {
		p.containers = append(p.containers, newContainer(p, &object.Spec.InitContainers[i], true))
	}
	for i := range object.Spec.Containers {
		p.containers = append(p.containers, newContainer(p, &object.Spec.Containers[i], false))
	}
	return p
}

func (p *pod) object() *core.Pod { return p.latest.Load() }

// update takes a new state of the object.
func (p *pod) update(object *core.Pod) {
	p.latest.Store(object)
	if object.DeletionTimestamp != nil {
		p.markDeleted()
	}
}

// remove says that the object is gone: nothing is owed to it, and what still runs is killed.
func (p *pod) remove() {
	p.markGone()
	p.markDeleted()
}

func (p *pod) unlessGone() context.Context { return p.gone }

// tell has the status written.
func (p *pod) tell() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// grace is how long processes may take to end.
func (p *pod) grace() time.Duration {
	object := p.object()
	if object.DeletionTimestamp == nil {
		return lastGrace
	}
	return time.Duration(ptr.Deref(object.DeletionGracePeriodSeconds, 0)) * time.Second
}

// run is the pod's life. It ends with its deletion, or with the node's (then the object stays as it is).
func (p *pod) run(node context.Context) {
	life, end := context.WithCancel(node)
	defer end()
	context.AfterFunc(p.deleted, end)
	writing, stopWriting := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { p.writeStatus(writing) })
	p.runContainers(life)
	<-life.Done()
	stopWriting()
	background.Wait()
	if node.Err() == nil {
		p.finish(node)
	}
	if err := removeFolder(p.folder); err != nil {
		klog.ErrorS(err, "A pod's folder stays", "pod", p.namespace+"/"+p.name)
	}
}

// runContainers runs the init containers one by one, then all others, until life ends and all have stopped.
func (p *pod) runContainers(life context.Context) {
	if !p.fillVolumesUntilDone(life) {
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { p.refresh(life) })
	for _, c := range p.containers {
		if c.init && !c.sidecar() {
			if c.run(life); !c.succeeded() {
				break // the status says which one failed
			}
			continue
		}
		running.Go(func() { c.run(life) })
	}
	<-life.Done()
}

func (p *pod) fillVolumesUntilDone(life context.Context) bool {
	for {
		err := p.fillVolumes(life)
		if err == nil {
			return true
		}
		for _, c := range p.containers {
			c.wait("ContainerCreating", err.Error())
		}
		select {
		case <-life.Done():
			return false
		case <-time.After(retryPause):
		}
	}
}

func (p *pod) refresh(life context.Context) {
	for {
		select {
		case <-life.Done():
			return
		case <-time.After(refreshVolumes):
		}
		if err := p.fillVolumes(life); err != nil && life.Err() == nil {
			klog.ErrorS(err, "A pod's volumes are not refreshed", "pod", p.namespace+"/"+p.name)
		}
	}
}

// finish writes the last status, and removes the object: a deleted pod stays until its node does this.
func (p *pod) finish(ctx context.Context) {
	for p.gone.Err() == nil && ctx.Err() == nil {
		err := p.patchStatus(ctx)
		if err == nil {
			err = p.kubelet.client.CoreV1().Pods(p.namespace).Delete(ctx, p.name, meta.DeleteOptions{
				GracePeriodSeconds: ptr.To[int64](0), Preconditions: meta.NewUIDPreconditions(string(p.uid))})
		}
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		klog.ErrorS(err, "A deleted pod is not removed yet", "pod", p.namespace+"/"+p.name)
		time.Sleep(retryPause)
	}
}

// find gives the container of a name; the first one without a name.
func (p *pod) find(name string) *container {
	for _, c := range p.containers {
		if c.spec.Name == name || name == "" && !c.init {
			return c
		}
	}
	return nil
}

func (c *container) succeeded() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
}
