package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const defaultPath = "PATH=/usr/local/bin:/usr/bin:/bin:/opt/spire/bin"

// environment is what a container's process finds around it: defaults, the API server, envFrom, env.
func (p *pod) environmentOf(ctx context.Context, spec *core.Container) ([]string, error) {
	environment := slices.Concat([]string{defaultPath, "HOME=/root", "HOSTNAME=" + p.name}, p.kubelet.environment)
	for _, source := range spec.EnvFrom {
		values, err := p.allOf(ctx, source)
		if err != nil {
			return nil, err
		}
		for _, name := range sortedKeys(values) {
			environment = append(environment, source.Prefix+name+"="+values[name])
		}
	}
	for _, variable := range spec.Env {
		value := expand(variable.Value, environment)
		if variable.ValueFrom != nil {
			var err error
			if value, err = p.valueOf(ctx, variable.ValueFrom); err != nil {
				return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
			}
		}
		environment = append(environment, variable.Name+"="+value)
	}
	return environment, nil
}

func (p *pod) allOf(ctx context.Context, source core.EnvFromSource) (map[string]string, error) {
	switch {
	case source.ConfigMapRef != nil:
		return p.configMap(ctx, source.ConfigMapRef.Name, ptr.Deref(source.ConfigMapRef.Optional, false))
	case source.SecretRef != nil:
		return p.secret(ctx, source.SecretRef.Name, ptr.Deref(source.SecretRef.Optional, false))
	}
	return nil, nil
}

func (p *pod) valueOf(ctx context.Context, source *core.EnvVarSource) (string, error) {
	var values map[string]string
	var key string
	var optional bool
	var err error
	switch {
	case source.FieldRef != nil:
		return p.field(source.FieldRef.FieldPath)
	case source.ConfigMapKeyRef != nil:
		key, optional = source.ConfigMapKeyRef.Key, ptr.Deref(source.ConfigMapKeyRef.Optional, false)
		values, err = p.configMap(ctx, source.ConfigMapKeyRef.Name, optional)
	case source.SecretKeyRef != nil:
		key, optional = source.SecretKeyRef.Key, ptr.Deref(source.SecretKeyRef.Optional, false)
		values, err = p.secret(ctx, source.SecretKeyRef.Name, optional)
	default:
		return "", fmt.Errorf("this node does not know its source")
	}
	value, there := values[key]
	if err == nil && !there && !optional {
		err = fmt.Errorf("there is no key %s", key)
	}
	return value, err
}

var keyOfField = regexp.MustCompile(`^metadata\.(labels|annotations)\['(.+)'\]$`)

// field gives a field of the pod. The address is the one a process can listen at: see addresses in pod.go.
func (p *pod) field(path string) (string, error) {
	object := p.object()
	if keyed := keyOfField.FindStringSubmatch(path); keyed != nil {
		return map[string]map[string]string{"labels": object.Labels, "annotations": object.Annotations}[keyed[1]][keyed[2]], nil
	}
	switch path {
	case "metadata.name":
		return object.Name, nil
	case "metadata.namespace":
		return object.Namespace, nil
	case "metadata.uid":
		return string(object.UID), nil
	case "metadata.labels":
		return quoted(object.Labels), nil
	case "metadata.annotations":
		return quoted(object.Annotations), nil
	case "spec.nodeName":
		return object.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return object.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return p.address.String(), nil
	case "status.hostIP", "status.hostIPs":
		return p.kubelet.options.address, nil
	}
	return "", fmt.Errorf("this node does not know the field %s", path)
}

func quoted(values map[string]string) string {
	var lines strings.Builder
	for _, name := range sortedKeys(values) {
		fmt.Fprintf(&lines, "%s=%q\n", name, values[name])
	}
	return lines.String()
}

func (p *pod) configMap(ctx context.Context, name string, optional bool) (map[string]string, error) {
	object, err := p.kubelet.client.CoreV1().ConfigMaps(p.namespace).Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return nil, unless(optional, err)
	}
	values := map[string]string{}
	for key, value := range object.Data {
		values[key] = value
	}
	for key, value := range object.BinaryData {
		values[key] = string(value)
	}
	return values, nil
}

func (p *pod) secret(ctx context.Context, name string, optional bool) (map[string]string, error) {
	object, err := p.kubelet.client.CoreV1().Secrets(p.namespace).Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return nil, unless(optional, err)
	}
	values := map[string]string{}
	for key, value := range object.Data {
		values[key] = string(value)
	}
	return values, nil
}

func unless(optional bool, err error) error {
	if optional && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

var reference = regexp.MustCompile(`\$\$|\$\([-._a-zA-Z][-._a-zA-Z0-9]*\)`)

// expand puts variables in for $(NAME), as Kubernetes does: unknown ones stay as they are, and $$ is a dollar.
func expand(text string, environment []string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		name := found[2:len(found)-1] + "="
		for _, variable := range slices.Backward(environment) {
			if value, ok := strings.CutPrefix(variable, name); ok {
				return value
			}
		}
		return found
	})
}

func expandAll(texts, environment []string) []string {
	expanded := make([]string, 0, len(texts))
	for _, text := range texts {
		expanded = append(expanded, expand(text, environment))
	}
	return expanded
}

func sortedKeys(values map[string]string) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
