package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// nobodyKilled is the case of a deploy during which every part lives.
const nobodyKilled = "nobody"

// The stages of a recovery besides the whole, which is the deploy.
const (
	// stageApp is how long the app did not answer, at the longest.
	stageApp = "app away"
	// stageAPI is when the management API took a write again.
	stageAPI = "API"
)

// victim is a part that is killed: a child of the node's first process, or any process of
// that name in the instance's pods.
type victim struct {
	name, program string
	ofNode        bool
}

var victims = []victim{
	{nobodyKilled, "", false},
	{"kubelet", "kubelet", true},
	{"containerd", "containerd", true},
	{"kube-apiserver", "kube-apiserver", true},
	{"kine", "kine", true},
	{"CoreDNS", "coredns", false},
	{"edge", "berth-router", false},
	{"controller", "berth-controller", false},
	{"portal", "berth-portal", false},
	{"control planes", "vcluster", false},
}

// recoveryBench kills parts while an app runs and another version of it is deployed.
type recoveryBench struct {
	*deployer
	url string
}

// measureRecovery kills each part in turn with -9 and measures from that moment how long the
// app did not answer, when the management API takes writes again, and when a deploy that
// began right then is served. Nobody killed is measured as well, to compare.
func (b *bench) measureRecovery(ctx context.Context) error {
	r := &recoveryBench{deployer: &deployer{bench: b, tenant: b.uniqueName()}}
	if err := r.begin(ctx); err != nil {
		return err
	}
	for round := 1; round <= b.rounds; round++ {
		for _, part := range turns(round, victims) {
			b.say("recovery, round %d: %s killed", round, part.name)
			if err := b.quiet(ctx); err != nil {
				return err
			}
			record, err := r.kill(ctx, part)
			if err != nil {
				return fmt.Errorf("%s killed: %w", part.name, err)
			}
			record.Round = round
			b.record(record)
		}
	}
	_, err := output(b.berth(ctx, "tenants:delete", r.tenant, "--confirm", r.tenant))
	return err
}

// begin makes a tenant whose app runs.
func (r *recoveryBench) begin(ctx context.Context) error {
	if _, err := output(r.berth(ctx, "tenants:create", r.tenant, "--plan", "small")); err != nil {
		return err
	}
	var tenant berthv1.Tenant
	if err := r.host.Get(ctx, client.ObjectKey{Name: r.tenant}, &tenant); err != nil {
		return err
	}
	r.namespace = berthv1.HostNamespace(tenant.Status.VirtualCluster)
	r.url = fmt.Sprintf("https://%s.%s.%s:%d/version", ourApp, r.tenant, r.up.Domain, r.up.HTTPSPort)
	image, err := r.image(ctx)
	if err != nil {
		return err
	}
	_, err = r.applyApp(ctx, ourApp, image)
	return err
}

// kill ends a part and measures until all is as before.
func (r *recoveryBench) kill(ctx context.Context, part victim) (Record, error) {
	image, err := r.image(ctx)
	if err != nil {
		return Record{}, err
	}
	pids, err := r.find(part)
	if err != nil {
		return Record{}, err
	}
	start := time.Now()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return Record{}, fmt.Errorf("killing process %d: %w", pid, err)
		}
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	away, api := make(chan time.Duration, 1), make(chan error, 1)
	var wrote time.Duration
	go func() { away <- r.longestAway(asking) }()
	go func() { err := r.write(ctx); wrote = time.Since(start); api <- err }()
	deployed := r.deployed(ctx, image)
	took := time.Since(start)
	stop()
	silent := <-away
	if err := errors.Join(deployed, <-api); err != nil {
		return Record{}, err
	}
	return Record{
		Measure: "recovery", Case: part.name, Milliseconds: took.Milliseconds(),
		Stages: map[string]int64{stageApp: silent.Milliseconds(), stageAPI: wrote.Milliseconds()},
	}, nil
}

// find gives the processes of a part.
func (r *recoveryBench) find(part victim) ([]int, error) {
	if part.name == nobodyKilled {
		return nil, nil
	}
	all, err := r.processes()
	if err != nil {
		return nil, err
	}
	var pids []int
	for pid, p := range all {
		if p.name == part.program && (p.parent == r.nodePID) == part.ofNode {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return nil, errors.New("it does not run")
	}
	return pids, nil
}

// longestAway asks the app again and again until the context ends, and gives the longest
// time from one answer to the next in which it was asked in vain.
func (r *recoveryBench) longestAway(ctx context.Context) time.Duration {
	var longest time.Duration
	last, failed := time.Now(), false
	for ctx.Err() == nil {
		_, err := r.get(ctx, r.url)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failed = true
		default:
			if failed {
				longest = max(longest, time.Since(last))
			}
			last, failed = time.Now(), false
		}
		_ = pause(ctx, tick/5) // the context is looked at above
	}
	if failed {
		longest = max(longest, time.Since(last))
	}
	return longest
}

// write waits until the management API takes a write.
func (r *recoveryBench) write(ctx context.Context) error {
	return until(ctx, tick, patience, "the API takes a write", func() (bool, error) {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "recovery-"}}
		if err := r.host.Create(ctx, object); err != nil {
			return false, err
		}
		return true, r.host.Delete(ctx, object)
	})
}

// deployed deploys an image and waits until it answers. A command that fails half-way is
// typed again, as a person would.
func (r *recoveryBench) deployed(ctx context.Context, image pushed) error {
	if err := until(ctx, tick, patience, "the deploy is taken", func() (bool, error) {
		_, err := output(r.berth(ctx, "deploy", "web="+image.tag, "-t", r.tenant, "-a", ourApp))
		return err == nil, err
	}); err != nil {
		return err
	}
	return until(ctx, tick, patience, r.url+" answers "+image.version, func() (bool, error) {
		got, err := r.get(ctx, r.url)
		return err == nil && got == image.version, err
	})
}

const recoveryText = "From `kill -9` of all processes of a part. The app's silence is the longest time between two of its answers in which it was asked in vain; " +
	"a deploy begins at the kill and ends with the first answer of the new image. Medians of the rounds."

// writeRecovery writes what each kill cost.
func writeRecovery(w *strings.Builder, records []Record) {
	fmt.Fprintf(w, "| killed | the app is silent | the API takes a write | a deploy is served |\n|---|--:|--:|--:|\n")
	for _, part := range victims {
		if len(timesOf(records, part.name)) == 0 {
			continue
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", part.name, seconds(median(stageTimes(records, part.name, stageApp))),
			seconds(median(stageTimes(records, part.name, stageAPI))), seconds(median(timesOf(records, part.name))))
	}
	fmt.Fprintln(w)
}
