package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func decimal(number byte) string { return strconv.Itoa(int(number)) }

// probe runs the probes of one run of a container until ctx ends: startup first, then readiness and liveness side by side.
func (c *container) probe(ctx context.Context, run *process) {
	if c.spec.StartupProbe != nil {
		verdicts(ctx, c, c.spec.StartupProbe, func(well bool) bool {
			if !well {
				run.kill()
			}
			return false
		})
		if ctx.Err() == nil && c.spec.ReadinessProbe == nil {
			c.setReady(ctx, true)
		}
	}
	if c.spec.LivenessProbe != nil {
		go verdicts(ctx, c, c.spec.LivenessProbe, func(well bool) bool {
			if !well {
				run.stop(ctx, c.pod.grace())
			}
			return well
		})
	}
	if c.spec.ReadinessProbe != nil {
		verdicts(ctx, c, c.spec.ReadinessProbe, func(well bool) bool {
			c.setReady(ctx, well)
			return true
		})
	}
}

func (c *container) setReady(ctx context.Context, ready bool) {
	c.set(func() {
		if ctx.Err() == nil {
			c.ready = ready
		}
	})
}

// verdicts tries a probe again and again, and says each time its thresholds are met; it goes on while heard returns true.
func verdicts(ctx context.Context, c *container, probe *core.Probe, heard func(well bool) bool) {
	successes, failures := 0, 0
	pause := time.Duration(probe.InitialDelaySeconds) * time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = time.Duration(max(probe.PeriodSeconds, 1)) * time.Second
		if err := c.try(ctx, probe); err == nil {
			successes, failures = successes+1, 0
		} else {
			successes, failures = 0, failures+1
		}
		well := successes >= int(max(probe.SuccessThreshold, 1))
		if (well || failures >= int(max(probe.FailureThreshold, 1))) && ctx.Err() == nil && !heard(well) {
			return
		}
	}
}

func (c *container) try(ctx context.Context, probe *core.Probe) error {
	ctx, end := context.WithTimeout(ctx, time.Duration(max(probe.TimeoutSeconds, 1))*time.Second)
	defer end()
	switch {
	case probe.Exec != nil:
		return c.execute(ctx, probe.Exec.Command, nil, io.Discard, io.Discard)
	case probe.HTTPGet != nil:
		return c.get(ctx, probe.HTTPGet)
	case probe.TCPSocket != nil:
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.endpoint(probe.TCPSocket.Host, probe.TCPSocket.Port))
		if err == nil {
			err = connection.Close()
		}
		return err
	}
	return errors.New("this node knows no such probe")
}

var insecure = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func (c *container) get(ctx context.Context, action *core.HTTPGetAction) error {
	scheme := strings.ToLower(string(action.Scheme))
	url := fmt.Sprintf("%s://%s%s", scheme, c.endpoint(action.Host, action.Port), action.Path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for _, header := range action.HTTPHeaders {
		request.Header.Add(header.Name, header.Value)
	}
	answer, err := insecure.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("HTTP %d", answer.StatusCode)
	}
	return nil
}

func (c *container) endpoint(host string, port intstr.IntOrString) string {
	if host == "" {
		host = c.pod.address.String()
	}
	number := port.String()
	for _, named := range c.spec.Ports {
		if named.Name == number {
			number = strconv.Itoa(int(named.ContainerPort))
		}
	}
	return net.JoinHostPort(host, number)
}
