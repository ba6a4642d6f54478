package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

const (
	kubeletVersion = "v1.37.2"       // what the node says it is; that of go.mod
	heartbeat      = 5 * time.Second // the controller manager gives a node up after 40 s of silence
	leaseSeconds   = 40
)

// kubelet is the node: its options, its image and its pods.
type kubelet struct {
	options     options
	client      kubernetes.Interface
	image       *image
	environment []string

	mutex     sync.Mutex
	pods      map[types.UID]*pod
	addresses map[netip.Addr]types.UID
	next      netip.Addr
	workers   sync.WaitGroup
}

func newKubelet(o options, client kubernetes.Interface, image *image, environment []string) *kubelet {
	return &kubelet{options: o, client: client, image: image, environment: environment,
		pods: map[types.UID]*pod{}, addresses: map[netip.Addr]types.UID{}, next: o.pods.Addr().Next()}
}

// register makes the Node, or takes over the one of that name, and keeps it ready until ctx ends.
func (k *kubelet) register(ctx context.Context) error {
	nodes := k.client.CoreV1().Nodes()
	_, err := nodes.Create(ctx, &core.Node{ObjectMeta: meta.ObjectMeta{Name: k.options.name, Labels: k.labels()}}, meta.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := k.beat(ctx); err != nil {
		return err
	}
	go func() {
		for ticks := time.Tick(heartbeat); ; {
			select {
			case <-ctx.Done():
				return
			case <-ticks:
			}
			if err := k.beat(ctx); err != nil && ctx.Err() == nil {
				klog.ErrorS(err, "The node's heartbeat failed")
			}
		}
	}()
	return nil
}

func (k *kubelet) labels() map[string]string {
	labels := map[string]string{core.LabelHostname: k.options.name, core.LabelOSStable: "linux", core.LabelArchStable: "amd64"}
	if k.options.zone != "" {
		labels[core.LabelTopologyZone] = k.options.zone
	}
	return labels
}

// beat renews the node's status and its lease.
func (k *kubelet) beat(ctx context.Context) error {
	node, err := k.client.CoreV1().Nodes().Get(ctx, k.options.name, meta.GetOptions{})
	if err != nil {
		return err
	}
	k.fillStatus(&node.Status)
	if _, err := k.client.CoreV1().Nodes().UpdateStatus(ctx, node, meta.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) {
		return err
	}
	return k.renewLease(ctx, node)
}

func (k *kubelet) fillStatus(status *core.NodeStatus) {
	status.Addresses = []core.NodeAddress{{Type: core.NodeInternalIP, Address: k.options.address},
		{Type: core.NodeHostName, Address: k.options.name}}
	status.DaemonEndpoints.KubeletEndpoint.Port = int32(k.options.port)
	status.Capacity = core.ResourceList{core.ResourceCPU: resource.MustParse("64"),
		core.ResourceMemory: resource.MustParse("256Gi"), core.ResourcePods: resource.MustParse("250")}
	status.Allocatable = status.Capacity
	status.NodeInfo.KubeletVersion, status.NodeInfo.OperatingSystem, status.NodeInfo.Architecture = kubeletVersion, "linux", "amd64"
	status.NodeInfo.ContainerRuntimeVersion = "processes://1"
	conditions := []core.NodeCondition{{Type: core.NodeReady, Status: core.ConditionTrue, Reason: "KubeletReady"},
		{Type: core.NodeMemoryPressure, Status: core.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
		{Type: core.NodeDiskPressure, Status: core.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
		{Type: core.NodePIDPressure, Status: core.ConditionFalse, Reason: "KubeletHasSufficientPID"}}
	for i := range conditions {
		conditions[i].LastHeartbeatTime, conditions[i].LastTransitionTime = meta.Now(), meta.Now()
		for _, old := range status.Conditions {
			if old.Type == conditions[i].Type && old.Status == conditions[i].Status {
				conditions[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	status.Conditions = conditions
}

func (k *kubelet) renewLease(ctx context.Context, node *core.Node) error {
	leases := k.client.CoordinationV1().Leases(core.NamespaceNodeLease)
	lease, err := leases.Get(ctx, k.options.name, meta.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if missing {
		owner := meta.OwnerReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}
		lease = &coordination.Lease{ObjectMeta: meta.ObjectMeta{Name: k.options.name, OwnerReferences: []meta.OwnerReference{owner}}}
	} else if err != nil {
		return err
	}
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = ptr.To(k.options.name), ptr.To[int32](leaseSeconds)
	lease.Spec.RenewTime = ptr.To(meta.NowMicro())
	if missing {
		_, err = leases.Create(ctx, lease, meta.CreateOptions{})
	} else {
		_, err = leases.Update(ctx, lease, meta.UpdateOptions{})
	}
	return err
}

// runPods runs what is bound to this node, until ctx ends; then it ends every process and leaves the objects as they are,
// like a node whose power is cut.
func (k *kubelet) runPods(ctx context.Context) {
	bound := informers.NewSharedInformerFactoryWithOptions(k.client, 0, informers.WithTweakListOptions(func(o *meta.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", k.options.name).String()
	})).Core().V1().Pods().Informer()
	_, err := bound.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { k.see(ctx, object.(*core.Pod)) },
		UpdateFunc: func(_, object any) { k.see(ctx, object.(*core.Pod)) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			k.forget(object.(*core.Pod))
		},
	})
	if err != nil {
		klog.ErrorS(err, "The pods cannot be watched")
		return
	}
	bound.RunWithContext(ctx)
	k.workers.Wait()
}

// see starts a pod at its first sight, and tells a running one that its object changed.
func (k *kubelet) see(ctx context.Context, object *core.Pod) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	known := k.pods[object.UID]
	if known == nil {
		if over(object) && object.DeletionTimestamp == nil {
			return
		}
		address, err := k.takeAddress(object.UID)
		if err != nil {
			klog.ErrorS(err, "A pod gets no address", "pod", klog.KObj(object))
			return
		}
		known = newPod(k, object, address)
		k.pods[object.UID] = known
		k.workers.Go(func() { known.run(ctx) })
	}
	known.update(object)
}

func over(object *core.Pod) bool {
	return object.Status.Phase == core.PodSucceeded || object.Status.Phase == core.PodFailed
}

// forget ends a pod whose object is gone, whoever removed it.
func (k *kubelet) forget(object *core.Pod) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if known := k.pods[object.UID]; known != nil {
		known.remove()
		delete(k.pods, object.UID)
		delete(k.addresses, known.address)
	}
}

// takeAddress gives the next free address: one that was just given back is not given again at once.
func (k *kubelet) takeAddress(owner types.UID) (netip.Addr, error) {
	for range 1 << (32 - k.options.pods.Bits()) {
		address := k.next
		if k.next = address.Next(); !k.options.pods.Contains(k.next.Next()) {
			k.next = k.options.pods.Addr().Next()
		}
		if _, taken := k.addresses[address]; !taken {
			k.addresses[address] = owner
			return address, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all addresses of %s are taken", k.options.pods)
}

// find gives the pod of a name, and of a UID if one is given.
func (k *kubelet) find(namespace, name, uid string) *pod {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for _, candidate := range k.pods {
		if candidate.namespace == namespace && candidate.name == name && (uid == "" || uid == string(candidate.uid)) {
			return candidate
		}
	}
	return nil
}
