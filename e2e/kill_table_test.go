package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

var killSeed = flag.Uint64("killseed", 0, "draws the moments of TestKillTable; 0 takes one from the clock")

// beside is the tenant whose app answers while others are worked on.
const beside = "beside"

// TestKillTable walks through all that is done with a tenant and kills a part during each
// operation, in every round another one: nine rounds put each part at each operation, five
// put each part at one or more. Every operation ends well, the app of another tenant answers
// throughout unless the edge was killed, and at the end nothing is lost and nothing is left.
func TestKillTable(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("again with the same moments: -killseed %d", seed)
	table := &killTable{draw: rand.New(rand.NewPCG(seed, 0)), typical: map[string]time.Duration{}}
	berth.tenant(t, beside, "small")
	berth.apply(t, beside, helloApp)
	answers(t, "hello."+beside, "/", 200, "hello from web 1")

	made := []string{"table"}
	t.Run("nobody is killed", func(t *testing.T) {
		for _, operation := range walk("table") {
			start := time.Now()
			operation.run(t, func() {})
			table.typical[operation.name] = time.Since(start)
			table.add(result{"nobody", operation.name, time.Since(start), 0})
		}
	})
	for round := range *kills {
		t.Run(fmt.Sprintf("round %d", round+1), func(t *testing.T) {
			tenant := fmt.Sprintf("table-%d", round+1)
			made = append(made, tenant)
			for i, operation := range walk(tenant) {
				parts := partsToKill(t, tenant)
				table.killDuring(t, operation, parts[(i+round)%len(parts)])
			}
		})
	}
	t.Logf("seconds from the kill until the operation was done, and until all was ready:\n%s", table)
	everythingReady(t)
	poolWhole(t)
	nothingOrphaned(t)
	reservedOnly(t, "table", made)
}

// killTable is what was tried and how long it took.
type killTable struct {
	draw    *rand.Rand
	typical map[string]time.Duration
	results []result
}

// result is one kill: how long after it the operation was done and everything was ready.
type result struct {
	part, operation string
	done, ready     time.Duration
}

func (k *killTable) add(r result) { k.results = append(k.results, r) }

// String is the table, one line for each kill.
func (k *killTable) String() string {
	text := &strings.Builder{}
	w := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "part\toperation\tdone\tready")
	for _, r := range k.results {
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%.1f\n", r.part, r.operation, r.done.Seconds(), r.ready.Seconds())
	}
	_ = w.Flush() // a builder takes everything
	return text.String()
}

// killDuring runs an operation and kills a part at some moment of it.
func (k *killTable) killDuring(t *testing.T, operation operation, victim part) {
	t.Helper()
	if victim.serving {
		load := startLoad(t, berth.url("hello."+beside, "/"), 50)
		defer load.end(t)
	}
	moment := time.Duration(k.draw.Float64() * float64(k.typical[operation.name]))
	var killed []int
	var at time.Time
	operation.run(t, func() {
		time.Sleep(moment) // the moment is what is tried
		killed, at = victim.kill(t), time.Now()
	})
	done := time.Since(at)
	victim.runningWithout(t, killed)
	everythingReady(t)
	nothingLost(t)
	answers(t, "hello."+beside, "/", 200, "hello from web 1")
	ready := time.Since(at)
	k.add(result{victim.name, operation.name, done, ready})
	t.Logf("%s killed %s into %q: done %s later, all ready %s later", victim.name,
		moment.Round(10*time.Millisecond), operation.name, done.Round(10*time.Millisecond), ready.Round(10*time.Millisecond))
}

// operation is something done with the command line, and how one sees that it is done.
type operation struct {
	name string
	// file is the app file of an `apply`.
	file string
	args []string
	done func(t *testing.T) (bool, string)
}

// run types the command, lets something happen meanwhile, and waits until it is done. A
// command that fails half-way is typed again, as a person would who sees that it is not done.
func (o operation) run(t *testing.T, meanwhile func()) {
	t.Helper()
	args := o.args
	if o.file != "" {
		path := t.TempDir() + "/berth.yaml"
		if err := os.WriteFile(path, []byte(o.file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-f", path)
	}
	ctx, stop := context.WithCancel(t.Context())
	typed := make(chan struct{})
	go func() {
		defer close(typed)
		for {
			out, err := typeIn(ctx, args)
			if err == nil || ctx.Err() != nil {
				return
			}
			fmt.Fprintf(os.Stderr, "typed again, if it is not done: berth %s: %v: %s\n", strings.Join(args, " "), err, out)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second): // as a person would, while what was killed starts again
			}
		}
	}()
	defer func() { stop(); <-typed }()
	meanwhile()
	eventually(t, comesBack, o.name, func() (bool, string) { return o.done(t) })
}

// typeIn runs a command of berth, which is told to end with the context, and gives what it
// says.
func typeIn(ctx context.Context, args []string) (string, error) {
	var said bytes.Buffer
	command := berth.command(args...)
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		return "", err
	}
	stay := context.AfterFunc(ctx, func() { _ = command.Process.Signal(syscall.SIGTERM) })
	defer stay()
	err := command.Wait()
	return said.String(), err
}

// walk is all that is done with a tenant, from its first day to its last.
func walk(tenant string) []operation {
	in := []string{"-t", tenant, "-a", "hello"}
	with := func(args ...string) []string { return append(args, in...) }
	live := func(release int, version string) func(*testing.T) (bool, string) {
		return func(t *testing.T) (bool, string) {
			t.Helper()
			if ok, why := liveRelease(t, tenant, release); !ok {
				return false, why
			}
			ok, body := berth.answer(berth.url("hello."+tenant, "/version"))
			return ok && body == version, body
		}
	}
	// The time in which a part waits to be started again is not the release's fault.
	const file = "deployTimeoutSeconds: 1800\n" + helloApp
	return []operation{
		{"create a tenant", "", []string{"tenants:create", tenant, "--plan", "small"}, func(t *testing.T) (bool, string) {
			t.Helper()
			return isReady(t, tenant, &berthv1.Tenant{})
		}},
		{"first deploy", file, []string{"apply", "-t", tenant}, live(1, "1")},
		{"deploy", "", with("deploy", "web="+testImage("2")), live(2, "2")},
		{"scale", "", with("ps:scale", "web=2"), func(t *testing.T) (bool, string) {
			t.Helper()
			return scaledTo(t, tenant, 2)
		}},
		{"roll back", "", with("rollback", "v1"), live(3, "1")},
		{"delete the app", "", append([]string{"apps:delete", "hello", "-t", tenant}, "--confirm", "hello"), func(t *testing.T) (bool, string) {
			t.Helper()
			return isGone(t, berthv1.ManagementNamespace(tenant), "hello", &berthv1.App{})
		}},
		{"delete the tenant", "", []string{"tenants:delete", tenant, "--confirm", tenant}, func(t *testing.T) (bool, string) {
			t.Helper()
			return isGone(t, "", tenant, &berthv1.Tenant{})
		}},
	}
}
