package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/types"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

var killSeed = flag.Uint64("killseed", 0, "draws the parts and the moments of TestKillTable; 0 takes one from the clock")

// beside is the tenant whose app answers while others are worked on.
const beside = "table-beside"

// longestBeside is how long a request to the app beside may take while a part is killed that
// it does not need; a slow one takes two seconds by itself. It has nothing to wait for, but
// what starts anew takes the machine's time.
const longestBeside = 10 * time.Second

// bearing are the parts that the processes of the app beside hang on: one that prints waits
// while containerd does not take it, and a node whose kubelet is silent for long is taken for
// dead. Requests must be answered while they are away, but may wait.
var bearing = []string{"kubelet", "containerd"}

// TestKillTable walks through all that is done with a tenant and kills a part during each
// operation, in every round another one: nine rounds put each part at each operation, five
// put each part at three or more, drawn by the seed. Every operation ends well, the app of
// another tenant answers throughout unless the edge was killed, and at the end nothing is lost
// and nothing is left.
func TestKillTable(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("again with the same parts and moments: -killseed %d", seed)
	berth.tenant(t, beside, "small")
	berth.apply(t, beside, helloApp)
	answers(t, "hello."+beside, "/", 200, "hello from web 1")
	before, made := reservations(t), map[string]types.UID{}
	table := newKillTable(t, seed)

	t.Run("nobody is killed", func(t *testing.T) {
		for _, operation := range walk("table") {
			start := time.Now()
			operation.run(t, func() {})
			table.typical[operation.name] = time.Since(start)
			t.Logf("%s takes %s", operation.name, time.Since(start).Round(10*time.Millisecond))
			noteTenant(t, "table", made)
		}
	})
	for round := range *kills {
		t.Run(fmt.Sprintf("round %d", round+1), func(t *testing.T) {
			tenant := fmt.Sprintf("table-%d", round+1)
			for i, operation := range walk(tenant) {
				table.killDuring(t, operation, table.victim(t, tenant, i+round))
				noteTenant(t, tenant, made)
			}
		})
	}
	table.report(t)
	everythingReady(t)
	poolWhole(t)
	nothingOrphaned(t)
	refusedAgain(t, "table")
	reservedFor(t, before, made)
}

// killTable is what was tried and how it went.
type killTable struct {
	draw *rand.Rand
	// order is that in which the parts take their turns.
	order []int
	// parts and operations are the table's rows and columns.
	parts, operations []string
	// typical is how long an operation takes that nobody disturbs, shortest how soon one was
	// done before its kill.
	typical, shortest map[string]time.Duration
	cells             map[cell]tally
}

// cell is a part that is killed during an operation.
type cell struct{ part, operation string }

// tally counts the kills of a cell: all of them, and those at which the operation still went
// on. Ready is the longest time from a kill until the operation was done and everything ready.
type tally struct {
	kills, inFlight int
	ready           time.Duration
}

func newKillTable(t *testing.T, seed uint64) *killTable {
	t.Helper()
	k := &killTable{draw: rand.New(rand.NewPCG(seed, 0)), typical: map[string]time.Duration{}, shortest: map[string]time.Duration{}, cells: map[cell]tally{}}
	for _, part := range partsToKill(t, beside) {
		k.parts = append(k.parts, part.name)
	}
	for _, operation := range walk(beside) {
		k.operations = append(k.operations, operation.name)
	}
	k.order = k.draw.Perm(len(k.parts))
	return k
}

// victim is the part whose turn it is.
func (k *killTable) victim(t *testing.T, tenant string, turn int) part {
	t.Helper()
	return partsToKill(t, tenant)[k.order[turn%len(k.order)]]
}

// of sums up all kills of a part.
func (k *killTable) of(part string) tally {
	var sum tally
	for cell, tally := range k.cells {
		if cell.part == part {
			sum.kills, sum.inFlight = sum.kills+tally.kills, sum.inFlight+tally.inFlight
		}
	}
	return sum
}

// moment draws when to kill a part during an operation. One that was killed too late so far
// is killed early.
func (k *killTable) moment(part, operation string) time.Duration {
	share, of := k.draw.Float64(), k.typical[operation]
	if sum := k.of(part); sum.kills > 0 && sum.inFlight == 0 {
		share /= 4
		if soon, known := k.shortest[operation]; known {
			of = min(of, soon)
		}
	}
	return time.Duration(share * float64(of))
}

// killDuring runs an operation and kills a part at some moment of it.
func (k *killTable) killDuring(t *testing.T, operation operation, victim part) {
	t.Helper()
	if victim.serving {
		load := startLoad(t, berth.url("hello."+beside, "/"), 50)
		defer func() {
			load.end(t)
			if !slices.Contains(bearing, victim.name) {
				neverWaited(t, load)
			}
		}()
	}
	moment := k.moment(victim.name, operation.name)
	tally := k.cells[cell{victim.name, operation.name}]
	tally.kills++
	var killed []int
	var at time.Time
	operation.run(t, func() {
		start := time.Now()
		if operation.goesOn(t, start.Add(moment)) {
			tally.inFlight++
		} else {
			soon, known := k.shortest[operation.name]
			if took := time.Since(start); !known || took < soon {
				k.shortest[operation.name] = took
			}
		}
		killed, at = victim.kill(t), time.Now()
	})
	done := time.Since(at)
	victim.runningWithout(t, killed)
	everythingReady(t)
	nothingLost(t)
	answers(t, "hello."+beside, "/", 200, "hello from web 1")
	ready := time.Since(at)
	t.Logf("%s killed %s into %q, still going on: %t; done %s later, all ready %s later", victim.name, moment.Round(10*time.Millisecond),
		operation.name, tally.inFlight > k.cells[cell{victim.name, operation.name}].inFlight, done.Round(10*time.Millisecond), ready.Round(10*time.Millisecond))
	tally.ready = max(tally.ready, ready)
	k.cells[cell{victim.name, operation.name}] = tally
}

// neverWaited wants no request of a load that has ended to have taken long.
func neverWaited(t *testing.T, load *load) {
	t.Helper()
	for _, kind := range []*traffic{load.quick, load.fresh, load.slow} {
		if longest := slices.Max(append(kind.latency, 0)); longest > longestBeside {
			t.Errorf("%s: a request to the app beside took %s, over %s", kind.kind, longest.Round(time.Millisecond), longestBeside)
		}
	}
}

// report logs the table. It fails the scenario for a part that was killed more than once, but
// never while its operation still went on: that tries nothing.
func (k *killTable) report(t *testing.T) {
	t.Helper()
	t.Logf("%d of %d cells were tried: kills while the operation went on / all kills, longest time until everything was ready\n%s",
		len(k.cells), len(k.parts)*len(k.operations), k)
	for _, part := range k.parts {
		if sum := k.of(part); sum.kills > 1 && sum.inFlight == 0 {
			t.Errorf("the %s was killed %d times, always after the operation was done", part, sum.kills)
		}
	}
}

// String is the table, a line for each part.
func (k *killTable) String() string {
	text := &strings.Builder{}
	w := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(append([]string{"killed"}, k.operations...), "\t"))
	nobody := []string{"nobody"}
	for _, operation := range k.operations {
		nobody = append(nobody, fmt.Sprintf("%.1fs", k.typical[operation].Seconds()))
	}
	fmt.Fprintln(w, strings.Join(nobody, "\t"))
	for _, part := range k.parts {
		line := []string{part}
		for _, operation := range k.operations {
			said := "-"
			if tally, tried := k.cells[cell{part, operation}]; tried {
				said = fmt.Sprintf("%d/%d %.1fs", tally.inFlight, tally.kills, tally.ready.Seconds())
			}
			line = append(line, said)
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	_ = w.Flush() // a builder takes everything
	return text.String()
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

// goesOn waits for a moment and tells whether the operation is not done by then.
func (o operation) goesOn(t *testing.T, moment time.Time) bool {
	t.Helper()
	for {
		if done, _ := o.done(t); done {
			return false
		}
		left := time.Until(moment)
		if left <= 0 {
			return true
		}
		time.Sleep(min(left, 50*time.Millisecond)) // the moment is what is tried
	}
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
