package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// timed runs what deploys an image and notes when its process is ready and when the command
// has returned, with answers also when the image answers at the edge. Both sides pay for
// the same looking: a watch of pods on the host, which costs the tenant's API server
// nothing, and a request again and again on one warm connection to the edge.
func (d *deployer) timed(ctx context.Context, host string, image pushed, answers bool, deploy func(context.Context, *probe) error) (map[string]int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	url := fmt.Sprintf("https://%s.%s.%s:%d/version", host, d.tenant, d.up.Domain, d.up.HTTPSPort)
	p := &probe{stages: map[string]int64{}}
	begin, err := d.watchReady(ctx, image.digest, p)
	if err != nil {
		return nil, err
	}
	// The edge knows the tenant's hosts, those without an app too: the handshake is done
	// before the clock starts.
	_, _ = d.get(ctx, url)
	done := make(chan error, 1)
	p.start = time.Now()
	close(begin)
	go func() {
		err := deploy(ctx, p)
		if err == nil {
			p.reached("command")
		}
		done <- err
	}()
	err = until(ctx, tick/2, patience, url+" answers "+image.version, func() (bool, error) {
		if err := finished(done, p); err != nil {
			return true, err
		}
		if got, err := d.get(ctx, url); err == nil && got == image.version {
			p.reached("first")
		}
		return p.has("command") && (p.has("first") || !answers), nil
	})
	return p.times(), err
}

// watchReady notes when a process with an image is ready, from when begin is closed until
// the context ends. It costs the API server one message for every change of a pod.
func (d *deployer) watchReady(ctx context.Context, image string, p *probe) (begin chan struct{}, err error) {
	watch, err := d.host.Watch(ctx, &corev1.PodList{}, client.InNamespace(d.namespace))
	if err != nil {
		return nil, err
	}
	begin = make(chan struct{})
	go func() {
		defer watch.Stop()
		select {
		case <-begin:
		case <-ctx.Done():
			return
		}
		for event := range watch.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if ok && pod.Spec.Containers[0].Image == image && podReady(pod) {
				p.reached("ready")
			}
		}
	}()
	return begin, nil
}

// get gives what a URL answers with 200.
func (d *deployer) get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := d.edge.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	// The connection serves again once the answer is read.
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", url, response.Status)
	}
	return string(body), err
}
