package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// token is one of a service account, kept until it is nearly over.
type token struct {
	value string
	renew time.Time
}

// fillVolumes writes the contents of the pod's volumes; again and again, since config maps change and tokens end.
func (p *pod) fillVolumes(ctx context.Context) error {
	for _, volume := range p.object().Spec.Volumes {
		folder := filepath.Join(p.folder, "volumes", volume.Name)
		if err := p.fillVolume(ctx, folder, &volume); err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
	}
	return nil
}

func (p *pod) fillVolume(ctx context.Context, folder string, volume *core.Volume) error {
	var files map[string]string
	var err error
	switch {
	case volume.EmptyDir != nil:
		return makeOpenFolder(folder)
	case volume.HostPath != nil:
		return p.makeHostPath(volume.HostPath)
	case volume.ConfigMap != nil:
		files, err = p.configMap(ctx, volume.ConfigMap.Name, ptr.Deref(volume.ConfigMap.Optional, false))
		files = choose(files, volume.ConfigMap.Items)
	case volume.Secret != nil:
		files, err = p.secret(ctx, volume.Secret.SecretName, ptr.Deref(volume.Secret.Optional, false))
		files = choose(files, volume.Secret.Items)
	case volume.DownwardAPI != nil:
		files, err = p.fields(volume.DownwardAPI.Items)
	case volume.Projected != nil:
		files, err = p.projected(ctx, volume.Projected.Sources)
	default:
		return errors.New("this node does not know its kind")
	}
	if err != nil {
		return err
	}
	return writeFiles(folder, files)
}

// hostPath is where a path of the node is: a node has its own, and none is one of this machine.
func (k *kubelet) hostPath(path string) string {
	return filepath.Join(k.options.root, "host", filepath.Clean("/"+path))
}

func (p *pod) makeHostPath(source *core.HostPathVolumeSource) error {
	path := p.kubelet.hostPath(source.Path)
	switch kind := ptr.Deref(source.Type, core.HostPathUnset); kind {
	case core.HostPathUnset, core.HostPathDirectoryOrCreate:
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return makeOpenFolder(path)
	default:
		_, err := os.Stat(path)
		return err
	}
}

func (p *pod) fields(items []core.DownwardAPIVolumeFile) (map[string]string, error) {
	files := map[string]string{}
	for _, item := range items {
		if item.FieldRef == nil {
			return nil, errors.New("this node knows fields only")
		}
		value, err := p.field(item.FieldRef.FieldPath)
		if err != nil {
			return nil, err
		}
		files[item.Path] = value
	}
	return files, nil
}

func (p *pod) projected(ctx context.Context, sources []core.VolumeProjection) (map[string]string, error) {
	all := map[string]string{}
	for _, source := range sources {
		files, err := p.projection(ctx, source)
		if err != nil {
			return nil, err
		}
		for name, content := range files {
			all[name] = content
		}
	}
	return all, nil
}

func (p *pod) projection(ctx context.Context, source core.VolumeProjection) (map[string]string, error) {
	switch {
	case source.ConfigMap != nil:
		files, err := p.configMap(ctx, source.ConfigMap.Name, ptr.Deref(source.ConfigMap.Optional, false))
		return choose(files, source.ConfigMap.Items), err
	case source.Secret != nil:
		files, err := p.secret(ctx, source.Secret.Name, ptr.Deref(source.Secret.Optional, false))
		return choose(files, source.Secret.Items), err
	case source.DownwardAPI != nil:
		return p.fields(source.DownwardAPI.Items)
	case source.ServiceAccountToken != nil:
		value, err := p.token(ctx, source.ServiceAccountToken)
		return map[string]string{source.ServiceAccountToken.Path: value}, err
	}
	return nil, errors.New("this node does not know a projected source")
}

// token asks for a token that is bound to this pod, as a kubelet does, and again when four fifths of its time are over.
func (p *pod) token(ctx context.Context, source *core.ServiceAccountTokenProjection) (string, error) {
	if known := p.tokens[source.Audience]; time.Now().Before(known.renew) {
		return known.value, nil
	}
	request := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef: &authentication.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.name, UID: p.uid}}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	accounts := p.kubelet.client.CoreV1().ServiceAccounts(p.namespace)
	answer, err := accounts.CreateToken(ctx, p.object().Spec.ServiceAccountName, request, meta.CreateOptions{})
	if err != nil {
		return "", err
	}
	life := time.Until(answer.Status.ExpirationTimestamp.Time)
	p.tokens[source.Audience] = token{answer.Status.Token, time.Now().Add(life * 4 / 5)}
	return answer.Status.Token, nil
}

func choose(files map[string]string, items []core.KeyToPath) map[string]string {
	if len(items) == 0 {
		return files
	}
	chosen := map[string]string{}
	for _, item := range items {
		if content, there := files[item.Key]; there {
			chosen[item.Path] = content
		}
	}
	return chosen
}

// writeFiles makes the folder hold these files, each changed in one step.
func writeFiles(folder string, files map[string]string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(folder, filepath.Clean("/"+name))
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, []byte(content)) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if _, wanted := files[name]; err != nil || wanted {
			return err
		}
		return os.Remove(path)
	})
}

// mountVolumes shows the pod's volumes in the root directory of a container.
func (p *pod) mountVolumes(root string, mounts []core.VolumeMount) error {
	outerFirst := slices.SortedFunc(slices.Values(mounts), func(a, b core.VolumeMount) int { return cmp.Compare(a.MountPath, b.MountPath) })
	for _, mount := range outerFirst {
		from := filepath.Join(p.folder, "volumes", mount.Name)
		for _, volume := range p.object().Spec.Volumes {
			if volume.Name == mount.Name && volume.HostPath != nil {
				from = p.kubelet.hostPath(volume.HostPath.Path)
			}
		}
		if mount.SubPath != "" {
			from = filepath.Join(from, filepath.Clean("/"+mount.SubPath))
		}
		if err := bind(from, filepath.Join(root, filepath.Clean("/"+mount.MountPath)), mount.ReadOnly); err != nil {
			return err
		}
	}
	return nil
}
