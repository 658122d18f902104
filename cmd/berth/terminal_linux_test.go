package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/internal/apiclient"
)

// terminal makes a terminal: what is written to keys is typed at it.
func terminal(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals here: ", err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	return keys, screen
}

// awaitFlag waits until a flag of a terminal is set, or is not.
func awaitFlag(t *testing.T, screen *os.File, flag uint32, want bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-look.C {
		state, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if (state.Lflag&flag != 0) == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the terminal's flag %#x is not %v", flag, want)
		}
	}
}

func TestAPromptRefusesNothingAndTakesWhatIsTyped(t *testing.T) {
	for typed, want := range map[string]string{"s3cret\n": "s3cret", "\n": ""} {
		keys, screen := terminal(t)
		if _, err := keys.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		c := &cli{in: screen, out: screen, err: &bytes.Buffer{}}
		got, err := c.readSecret(t.Context(), "KEY", "Type it.")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q gave %q and %v", typed, got, err)
		}
	}
}

func TestCtrlCEndsPromptsAndLeavesTheTerminalAsItWas(t *testing.T) {
	_, screen := terminal(t)
	c := &cli{in: screen, out: screen, err: &bytes.Buffer{}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.readSecret(ctx, "KEY", "")
		ended <- err
	}()
	awaitFlag(t, screen, unix.ECHO, false)
	cancel()
	if code := c.report(<-ended); code != exitInterrupted {
		t.Errorf("the prompt for a secret ended with %d", code)
	}
	awaitFlag(t, screen, unix.ECHO, true)

	_, screen = terminal(t)
	c.in = screen
	if code := c.report(c.confirm(ctx, "This deletes it", "shop", "")); code != exitInterrupted {
		t.Errorf("the prompt for a name ended with %d", code)
	}
}

// shellPortal starts a process when it is told to; it ends well when "q" is typed.
func shellPortal(t *testing.T, start <-chan struct{}, query chan<- string, hungUp chan<- struct{}) {
	t.Helper()
	upgrader := websocket.Upgrader{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		query <- r.URL.Query().Get("cols") + "x" + r.URL.Query().Get("rows")
		typed := make(chan string, 10)
		go func() {
			defer close(typed)
			for {
				kind, data, err := conn.ReadMessage()
				if err != nil {
					return
				}
				if kind == websocket.BinaryMessage {
					typed <- string(data)
				}
			}
		}()
		select {
		case <-start:
			_ = conn.WriteJSON(apiclient.PipeControl{Process: "run.aaaaa"})
		case <-typed:
			close(hungUp)
			return
		}
		for keys := range typed {
			if strings.Contains(keys, "q") {
				code := int32(0)
				_ = conn.WriteJSON(apiclient.PipeControl{ExitCode: &code})
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("BERTH_CONFIG", filepath.Join(t.TempDir(), "config.json"))
	if _, err := (userConfigFile{URL: server.URL, Token: "good", Tenant: "acme"}).save(); err != nil {
		t.Fatal(err)
	}
}

func TestTheKeyboardIsTheShellsOnlyWhileItsProcessRuns(t *testing.T) {
	keys, screen := terminal(t)
	start, query := make(chan struct{}), make(chan string, 1)
	shellPortal(t, start, query, nil)
	ended := make(chan error, 1)
	c := &cli{in: screen, out: screen, err: &bytes.Buffer{}, app: "shop"}
	go func() { ended <- c.shell(t.Context(), apiclient.Run{}) }()
	if size := <-query; size != "80x24" {
		t.Errorf("a terminal without a size was told as %s", size)
	}
	awaitFlag(t, screen, unix.ISIG, true) // Ctrl-C is still a signal
	close(start)
	awaitFlag(t, screen, unix.ISIG, false)
	if _, err := keys.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	awaitFlag(t, screen, unix.ISIG, true)
}

func TestCtrlCGivesUpAShellWhoseProcessHasNotStarted(t *testing.T) {
	_, screen := terminal(t)
	query, hungUp := make(chan string, 1), make(chan struct{})
	shellPortal(t, nil, query, hungUp)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	c := &cli{in: screen, out: screen, err: &bytes.Buffer{}, app: "shop"}
	go func() { ended <- c.shell(ctx, apiclient.Run{}) }()
	<-query
	cancel()
	if code := c.report(<-ended); code != exitInterrupted {
		t.Errorf("it ended with %d", code)
	}
	<-hungUp // the server knows, and removes the process
}
