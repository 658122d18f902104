package kubetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// envVictim tells a copy of the test binary to start a child and wait to be killed.
const envVictim = "KUBETEST_VICTIM_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envVictim); dir != "" {
		child, err := run("/usr/bin/tail", dir, "-f", "/dev/null")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(child.command.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

func TestAChildDiesWithAProcessThatIsKilled(t *testing.T) {
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), envVictim+"="+t.TempDir())
	output, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := victim.Wait(); err == nil {
		t.Fatal("the victim was not killed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = poll(ctx, func(context.Context) error {
		if alive(child) {
			return fmt.Errorf("process %d still runs", child)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// alive is false for a process that is gone or dead and not yet collected.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestAwaitGivesUpWithTheLogWhenTheProcessEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child, err := run("/bin/cat", t.TempDir(), "/no/such/file")
	if err != nil {
		t.Fatal(err)
	}
	err = child.await(ctx, func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "/no/such/file") || ctx.Err() != nil {
		t.Errorf("got %v, want the end of the log at once", err)
	}
}
