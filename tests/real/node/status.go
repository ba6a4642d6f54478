package main

import (
	"context"
	"encoding/json"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// writeStatus writes the status whenever something changed, until ctx ends.
func (p *pod) writeStatus(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		}
		if err := p.patchStatus(ctx); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
			klog.ErrorS(err, "A pod's status is not written yet", "pod", p.namespace+"/"+p.name)
			p.tell()
			time.Sleep(retryPause)
		}
	}
}

// patchStatus writes what there is to say of the pod; the UID makes it never speak of a later pod of the same name.
func (p *pod) patchStatus(ctx context.Context) error {
	p.writeAtATime.Lock()
	defer p.writeAtATime.Unlock()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.uid}, "status": p.status()})
	if err != nil {
		return err
	}
	_, err = p.kubelet.client.CoreV1().Pods(p.namespace).Patch(ctx, p.name, types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status")
	return err
}

func (p *pod) status() core.PodStatus {
	shown := p.shownAddress()
	status := core.PodStatus{HostIP: p.kubelet.options.address, HostIPs: []core.HostIP{{IP: p.kubelet.options.address}},
		PodIP: shown, PodIPs: []core.PodIP{{IP: shown}}, StartTime: &p.started, QOSClass: p.object().Status.QOSClass,
		ObservedGeneration: p.object().Generation}
	view := overview{ready: true, initialized: true, over: true}
	for _, c := range p.containers {
		said := c.status(&view)
		if c.init {
			status.InitContainerStatuses = append(status.InitContainerStatuses, said)
		} else {
			status.ContainerStatuses = append(status.ContainerStatuses, said)
		}
	}
	status.Phase = view.phase()
	ready := view.ready && status.Phase == core.PodRunning
	for kind, yes := range map[core.PodConditionType]bool{core.PodReadyToStartContainers: true, core.PodInitialized: view.initialized,
		core.ContainersReady: ready, core.PodReady: ready} {
		status.Conditions = append(status.Conditions, p.condition(kind, yes, status.Phase))
	}
	return status
}

// overview is what the containers come to together.
type overview struct {
	ready, initialized, over, failed, started, waiting bool
}

func (v *overview) phase() core.PodPhase {
	switch {
	case v.over && v.failed:
		return core.PodFailed
	case v.over:
		return core.PodSucceeded
	case !v.initialized || v.waiting || !v.started:
		return core.PodPending
	}
	return core.PodRunning
}

// status says what the container does, and adds it to the overview.
func (c *container) status(view *overview) core.ContainerStatus {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	running, ended := c.state.Running != nil, c.state.Terminated
	said := core.ContainerStatus{Name: c.spec.Name, State: c.state, Ready: c.ready, RestartCount: c.restarts, Image: c.spec.Image,
		ImageID: c.spec.Image, Started: ptr.To(running)}
	if c.attempt >= 0 {
		said.ContainerID = c.id()
	}
	if c.state.Terminated == nil || c.restarts > 0 && ended == nil {
		said.LastTerminationState = c.last
	}
	done := ended != nil && ended.ExitCode == 0
	switch {
	case c.sidecar():
		view.initialized = view.initialized && (running || c.restarts > 0)
		view.ready = view.ready && c.ready
	case c.init:
		said.Ready = done
		view.initialized = view.initialized && done
		if c.over && !done {
			view.failed = true
		}
	default:
		view.ready = view.ready && c.ready
		view.over = view.over && c.over
		view.failed = view.failed || c.over && !done
		view.started = view.started || c.attempt >= 0
		view.waiting = view.waiting || c.last.Terminated == nil && c.state.Waiting != nil
	}
	return said
}

func (p *pod) condition(kind core.PodConditionType, yes bool, phase core.PodPhase) core.PodCondition {
	now := core.PodCondition{Type: kind, Status: core.ConditionFalse, LastTransitionTime: meta.Now(), ObservedGeneration: p.object().Generation}
	switch {
	case yes:
		now.Status = core.ConditionTrue
	case phase == core.PodSucceeded:
		now.Reason = "PodCompleted"
	case kind == core.PodInitialized:
		now.Reason = "ContainersNotInitialized"
	default:
		now.Reason = "ContainersNotReady"
	}
	if old, known := p.conditions[kind]; known && old.Status == now.Status {
		now.LastTransitionTime = old.LastTransitionTime
	}
	p.conditions[kind] = now
	return now
}

// shownAddress is the twin of the pod's address that may stand in an EndpointSlice.
func (p *pod) shownAddress() string {
	bytes := p.address.As4()
	return "198.18." + decimal(bytes[2]) + "." + decimal(bytes[3])
}
